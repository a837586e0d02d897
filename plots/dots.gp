# ---- dots: mean and interval a mark, with every seed as a faint point ----------------------------------------------------
gap = points > 1 ? 1 : 0
row(i, j) = (i - 1)*(points + gap) + j
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
set xrange [ymin:ymax]
set yrange [row(n, points) + 0.7:0.3]
if (chance == chance && chance > ymin && chance < ymax) {
    set arrow 1 from first chance, graph 0 to first chance, graph 1 nohead dt 2 lc rgb "#999999"
    set label 1003 "chance" at first chance, graph 1 offset 0.3, 0.4 left font "DejaVu Sans,9" textcolor rgb "#777777"
}
plot data index n using 3:(row($1, $2) + 0.22 + 0.05*(int($0)%3)) with points pt 7 ps 0.35 lc rgb "#aaaaaa", \
     for [i = 1:n] data index i - 1 using 3:(row(i, $0 + 1)):4:5 with xerrorbars pt shape(i) ps 0.9 lw 2 lc rgb colour(i)
