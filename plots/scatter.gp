# ---- scatter: points of the plane, a panel a series, all to one scale ---------------------------------------------------
unset label 1001
unset label 1002
half = (xmax - xmin > ymax - ymin ? xmax - xmin : ymax - ymin)/2.
xmid = (xmin + xmax)/2.
ymid = (ymin + ymax)/2.
set xrange [xmid - half:xmid + half]
set yrange [ymid - half:ymid + half]
set size ratio 1
set border 15 lc rgb "#999999"
unset grid
set lmargin 6
set rmargin 2
set tmargin 2
set bmargin 3.5
set multiplot layout 1,n title title font "DejaVu Sans Bold,12" margins char 7,3,6,5 spacing char 9
do for [i = 1:n] {
    if (i == 1) { set label 1002 caption at screen 0, 0 offset 1.2, 0.8 left font "DejaVu Sans,8" textcolor rgb "#777777" } else { unset label 1002 }
    set label 1003 label[i] at graph 0.5, 1 offset 0, 0.7 center textcolor rgb colour(i)
    plot data index i - 1 using 7:3 with points pt 7 ps 0.18 lc rgb colour(i)
}
unset multiplot
