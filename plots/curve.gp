# ---- curve: a line an arm along an axis, with its interval as a band ---------------------------------------------------
set xrange [xmin:xmax]
set yrange [ymin:ymax]
if (logy) set logscale y; set format y "%g"
if (logx) set logscale x
set mxtics 1
if (chance == chance && chance > ymin && chance < ymax) {
    set arrow 1 from graph 0, first chance to graph 1, first chance nohead dt 2 lc rgb "#999999"
    set label 1003 "chance" at graph 0.005, first chance offset 0, 0.5 left font "DejaVu Sans,9" textcolor rgb "#777777"
}
do for [i = 1:n] { set label i label[i] at graph 1.02, first label_y[i] left textcolor rgb colour(i) }
plot for [i = 1:n] data index i - 1 using 7:(bands ? ($4 < ymin ? ymin : $4) : $3):(bands ? $5 : $3) with filledcurves fc rgb colour(i) fs transparent solid 0.16 noborder, \
     for [i = 1:n] data index i - 1 using 7:3 with linespoints lc rgb colour(i) lw 2 dt stroke(i) pt shape(i) ps 0.7
