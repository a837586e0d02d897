# ---- bars: a horizontal bar a mark, arms below each other, with intervals ----------------------------------------------
gap = points > 1 ? 1 : 0
row(i, j) = (i - 1)*(points + gap) + j
base = ymin > 0 ? ymin : 0
set lmargin longest + (points > 1 ? 10 : 3)
set rmargin 9
set xtics auto
set xlabel ylabel
unset ylabel
set border 1
unset grid
set grid xtics lc rgb "#e4e4e4" lt 1 lw 0.6
set ytics scale 0
set tmargin 4.4
set label 1001 title at graph 0, 1.0 offset 0, 2.1 left font "DejaVu Sans Bold,12"
set xrange [base:ymax]
set yrange [row(n, points) + 0.7:0.3]
if (chance == chance && chance > base && chance < ymax) {
    set arrow 1 from first chance, graph 0 to first chance, graph 1 nohead dt 2 lc rgb "#999999"
    set label 1003 "chance" at first chance, graph 1 offset 0.3, 0.4 left font "DejaVu Sans,9" textcolor rgb "#777777"
}
plot for [i = 1:n] data index i - 1 using 3:(row(i, $0 + 1)):(base):3:(row(i, $0 + 1) - 0.32):(row(i, $0 + 1) + 0.32) with boxxyerror fc rgb colour(i) fs solid 0.75 noborder, \
     for [i = 1:n] data index i - 1 using 3:(row(i, $0 + 1)):4:5 with xerrorbars pt 0 lw 1.4 lc rgb "#222222", \
     for [i = 1:n] data index i - 1 using (bands && $5 == $5 ? $5 : $3):(row(i, $0 + 1)):(sprintf("  %.3g", $3)) with labels left textcolor rgb "#333333" font "DejaVu Sans,10"
