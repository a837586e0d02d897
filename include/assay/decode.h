/* decode.h: sequences of tokens out of a trained model that predicts the next one: greedily, one token a call, or in
 * blocks (Stern, Shazeer and Uszkoreit 2018).
 *
 * A call runs the model over whole prefixes, all rows of the batch together, on arrays of one shape from the first call
 * to the last: (batch, longest prompt + most - 1). So a causal model gives the same bits for the same prefix, whatever
 * stands behind it and however it came about, and two ways of decoding differ by what they accept, never by rounding.
 */
#ifndef ASSAY_DECODE_H
#define ASSAY_DECODE_H

#include <assay/train.h>

#define as_decode AS_REAL(as_decode)
#define as_decode_prompts AS_REAL(as_decode_prompts)
#define as_decode_join AS_REAL(as_decode_join)

#define AS_MAX_BLOCK 9       /* the model's output, and as many further outputs as a model can have */

struct as_decoding {
    ptrdiff_t most;          /* tokens to make for one prompt, at most; at least 1 */
    int32_t stop;            /* the token that ends a sequence, and belongs to it; -1: none */
    int block;               /* k, 1..AS_MAX_BLOCK: tokens proposed at a time, the first by the model's output, the
                                others by its further outputs head2..headk; 1: greedy decoding */
    int top;                 /* a proposal is accepted when it is among the `top` best of the model's output; 1: the
                                best only, which gives the tokens of greedy decoding */
    int least;               /* l, 1..block: so many of a block's proposals are accepted, verified or not; 1: the first,
                                which is the model's own and needs no verifying */
};

/* Arrays in the caller's arena. */
struct as_decoded {
    ptrdiff_t batch, most;
    int32_t *token;          /* (batch, most), -1 behind the end */
    int32_t *made;           /* (batch) tokens, the stop included */
    int32_t *steps;          /* (batch) times that a block was accepted: made / steps is the mean accepted block */
    int32_t *calls;          /* (batch) calls of the model until the row was done: with blocks one more than steps,
                                unless the last block is one token; with block = 1 as many as tokens */
};

/* Goes on from each row's first length[r] steps of field 0, integers (batch, time), at least one; ties go to the lower
 * token. The same pass verifies one block and proposes the next. Of other fields that the model reads at every step
 * only "target" is known how to go on (there is none). Raises AS_REFUSED for models that are not causal, that lack an
 * output head2..headk, or that read anything else at every step. Not to be called within a stream. */
struct as_decoded as_decode(struct as_model *m, struct as_arena *a, const struct as_batch *prompt,
                            struct as_decoding how);

/* Makes prompts of whole examples: each row's length becomes that of its steps up to and with the first that has a
 * target. Raises AS_REFUSED where there is none, or no integer field "target" at every step. */
void as_decode_prompts(struct as_batch *b);

/* Row r's prompt with what was decoded behind it, as an example to learn from or to be judged: x is the prompt and all
 * tokens but the last, target the next token from the prompt's last step on and -1 before. x, target: room for the
 * prompt's length + d->most. Returns the example's length. */
ptrdiff_t as_decode_join(const struct as_batch *prompt, const struct as_decoded *d, ptrdiff_t r, int32_t *x,
                         int32_t *target);

#endif
