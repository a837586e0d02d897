/* lstm.h: what lstm.c and lstm.fused.c agree on. */
#ifndef RECURRENT_LSTM_H
#define RECURRENT_LSTM_H

#include <assay/layer.h>

struct lstm { int hidden, bias, peepholes; double forget_bias; };
enum { LSTM_W, LSTM_U, LSTM_B, LSTM_P };         /* rows of W, U, b: gates i, f, o, then the candidate g */
enum { LSTM_H, LSTM_C };                         /* states */

#endif
