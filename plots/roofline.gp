# ---- roofline: operations a second against operations a byte, under the peak and the bandwidth of a copy ----------------
set key off
set logscale xy
set xrange [xmin:xmax]
set yrange [ymin:2*peak]
set format x "%g"
set format y "%g"
roof(x) = (x*copy < peak) ? x*copy : peak
set label 1003 sprintf("%.0f GFLOP/s of multiply-adds", peak) at graph 0.02, first peak offset 0, 0.6 left font "DejaVu Sans,9" textcolor rgb "#777777"
set label 1004 sprintf("%.0f GB/s of a copy", copy) at first xmin*1.3, first roof(xmin*1.3) offset 0.5, -0.8 left font "DejaVu Sans,9" textcolor rgb "#777777"
# A legend of points at the right, for labels beside points would cover each other.
do for [i = 1:n] { set label i label[i] at graph 1.03, graph 1 - (i - 1)*1./(n > 15 ? n : 15) left font "DejaVu Sans,9" textcolor rgb colour(i) point pt shape(i) ps 0.6 lc rgb colour(i) offset 1, 0 }
plot roof(x) with lines lc rgb "#555555" lw 1.5, \
     for [i = 1:n] data every ::(i - 1)::(i - 1) using 2:3 with points lc rgb colour(i) pt shape(i) ps 0.9
