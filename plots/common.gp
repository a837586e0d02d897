# ---- common to all kinds ---------------------------------------------------------------------------------------------
# Colours of Okabe and Ito, which people with any colour vision can tell apart; point shapes say the same once more.
if (!exists("format")) format = "svg"
data = name.".tsv"
width = 560 + 7.4*longest
height = 420
if (exists("wanted_height")) height = wanted_height
font = "DejaVu Sans,11"
if (format eq "svg") set terminal svg size width,height font font noenhanced background "#ffffff" linewidth 1.2
if (format eq "png") set terminal pngcairo size 2*width,2*height font font fontscale 2 linewidth 2.4 pointscale 2 noenhanced background "#ffffff"
if (format eq "pdf") set terminal pdfcairo size width/96.,height/96. font font fontscale 0.75 linewidth 1.2 pointscale 0.75 noenhanced background "#ffffff"
set output name.".".format.".new"
set encoding utf8
set datafile separator "\t"
set datafile missing "NaN"
colour(i) = word("#0072B2 #D55E00 #009E73 #CC79A7 #8C6D00 #3FA0D9 #333333", (i - 1)%7 + 1)
shape(i) = int(word("7 5 9 11 13 6 4", (i - 1)%7 + 1))
stroke(i) = (i - 1)/7 + 1
set border 3 lc rgb "#555555"
set tics nomirror out scale 0.6 textcolor rgb "#333333"
set grid ytics lc rgb "#e4e4e4" lt 1 lw 0.6
unset key
set lmargin 9
set tmargin 3.2
set bmargin 5.2
set rmargin longest + 3
set xlabel xlabel textcolor rgb "#333333"
set ylabel ylabel textcolor rgb "#333333"
set label 1001 title at graph 0, 1.0 offset 0, 1.1 left font "DejaVu Sans Bold,12"
set label 1002 caption at screen 0, 0 offset 1.2, 0.8 left font "DejaVu Sans,8" textcolor rgb "#777777"
