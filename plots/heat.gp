# ---- heat: arms down, an axis across, the mean as colour and number ------------------------------------------------------
set palette defined (0 "#440154", 1 "#46327e", 2 "#365c8d", 3 "#277f8e", 4 "#1fa187", 5 "#4ac16d", 6 "#a0da39", 7 "#fde725")
set lmargin longest + 3
set rmargin 12
set xtics auto
unset ylabel
unset grid
set border 0
set tics scale 0
set xrange [0.5:points + 0.5]
set yrange [n + 0.5:0.5]
set cbrange [ymin:ymax]
set cblabel ylabel textcolor rgb "#333333"
middle = ymin + 0.55*(ymax - ymin)
plot for [i = 1:n] data index i - 1 using ($0 + 1):(i):($0 + 0.5):($0 + 1.5):(i - 0.5):(i + 0.5):3:xtic(2):ytic(1) with boxxyerror fc palette fs solid border lc rgb "#ffffff", \
     for [i = 1:n] data index i - 1 using ($0 + 1):($3 < middle ? i : NaN):(sprintf("%.3g", $3)) with labels textcolor rgb "#ffffff", \
     for [i = 1:n] data index i - 1 using ($0 + 1):($3 < middle ? NaN : i):(sprintf("%.3g", $3)) with labels textcolor rgb "#000000"
