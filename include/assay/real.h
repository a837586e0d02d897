/* real.h: the one number type of the mathematics, and the one macro that keeps two builds apart.
 *
 * Files in core/real/ and every impl/FAMILY/NAME.c are compiled twice: `real` is float in the program, and
 * double in the oracle against which it is judged. Functions whose signature carries `real` (or a node, a
 * tape, a layer) therefore have two symbols; each header maps its names through AS_REAL right above their
 * declarations, and `make check-style` refuses a declaration without its row. Kernel files are float only.
 */
#ifndef ASSAY_REAL_H
#define ASSAY_REAL_H

#include <stddef.h>
#include <stdint.h>

#define ASSAY_ABI 1            /* raised whenever a descriptor changes its meaning or layout */

#define AS_PASTE_(a, b) a##b
#define AS_PASTE(a, b) AS_PASTE_(a, b)

#ifdef ASSAY_DOUBLE
typedef double real;
#define R(literal) literal                       /* R(0.5): a literal of type real */
#define AS_REAL(name) AS_PASTE_(name, _d)        /* the double build's symbol */
#define AS_REAL_EPSILON 2.220446049250313e-16
#else
typedef float real;
#define R(literal) AS_PASTE_(literal, f)
#define AS_REAL(name) name
#define AS_REAL_EPSILON 1.1920929e-7f
#endif

/* The symbol of a plug-in file follows from its path below impl/: `/` and `.` become `__`, `-` becomes `_`.
 * Kernel files are compiled once a processor level and carry the level in the symbol; a file whose kernel is
 * itself named avx2 or avx512 exists at that level only and carries none. */
#if defined(ASSAY_LEVEL_NAME) && !defined(ASSAY_ONE_LEVEL)
#define AS_PLUGIN(symbol) AS_PASTE(AS_PASTE(as_plugin_##symbol, __), ASSAY_LEVEL_NAME)
#else
#define AS_PLUGIN(symbol) AS_REAL(as_plugin_##symbol)
#endif

#endif
