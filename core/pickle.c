/* pickle.c: see assay/pickle.h. The machine has a stack of values and a memo of values by number; marks on the stack
 * say where a tuple or a run of items begins. Values are never freed before the file is closed, and may be shared.
 */
#include "pickle_private.h"

#include <stdlib.h>

typedef struct as_pickle_value value;

struct as_pickle {
    const unsigned char *p;
    size_t n;                        /* bytes still to be read */
    value *all;                      /* every value, for the end */
    value **stack, **memo;           /* (most): a mark is NULL */
    size_t most, depth;
};

static value *value_new(struct as_pickle *f, enum as_pickle_kind kind)
{
    value *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->kind = kind;
    v->next = f->all;
    f->all = v;
    return v;
}

/* Onto the stack. Each byte of the file pushes one value at most, so there is room. */
static const char *push(struct as_pickle *f, value *v)
{
    if (!v)
        return as_say("pickle: out of memory");
    f->stack[f->depth++] = v;
    return NULL;
}

static value *top(const struct as_pickle *f) { return f->depth ? f->stack[f->depth - 1] : NULL; }

static const char *append(value *v, value **item, ptrdiff_t n)
{
    if (n > v->room - v->count) {
        ptrdiff_t room = 2 * v->room + n;
        value **longer = realloc(v->item, (size_t)room * sizeof *longer);
        if (!longer)
            return as_say("pickle: out of memory");
        v->item = longer;
        v->room = room;
    }
    if (n)
        memcpy(v->item + v->count, item, (size_t)n * sizeof *item);
    v->count += n;
    return NULL;
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static bool take(struct as_pickle *f, size_t n, const unsigned char **at)
{
    *at = f->p;
    if (n > f->n)
        return false;
    f->p += n;
    f->n -= n;
    return true;
}

static const char *push_int(struct as_pickle *f, int bytes)
{
    const unsigned char *p;
    value *v = value_new(f, AS_PICKLE_INT);
    if (!take(f, (size_t)bytes, &p))
        return pickle_damaged("it ends inside a number");
    if (v)
        v->i = bytes == 4 ? (int32_t)pickle_bits(p, 4, false) : (int64_t)pickle_bits(p, bytes, false);
    return push(f, v);
}

static const char *push_float(struct as_pickle *f)
{
    const unsigned char *p;
    value *v = value_new(f, AS_PICKLE_FLOAT);
    if (!take(f, 8, &p))
        return pickle_damaged("it ends inside a number");
    uint64_t bits = pickle_bits(p, 8, true);
    if (v)
        memcpy(&v->x, &bits, sizeof bits);
    return push(f, v);
}

/* A text behind its length of `bytes` bytes. */
static const char *push_text(struct as_pickle *f, int bytes)
{
    const unsigned char *p;
    value *v = value_new(f, AS_PICKLE_TEXT);
    if (!take(f, (size_t)bytes, &p))
        return pickle_damaged("it ends inside a length");
    size_t n = (size_t)pickle_bits(p, bytes, false);
    if (!take(f, n, &p))
        return pickle_damaged("it ends inside a text");
    if (v) {
        v->text = p;
        v->n = n;
    }
    return push(f, v);
}

/* "module\nname\n": one of those that data need. */
static const char *push_name(struct as_pickle *f)
{
    static const char *const known[] = {
        "collections\ndefaultdict", "collections\nOrderedDict", "__builtin__\nlist", "builtins\nlist", "numpy\nndarray",
        "numpy\ndtype", "numpy.core.multiarray\n_reconstruct", "scipy.sparse.csr\ncsr_matrix", NULL };
    const unsigned char *p = f->p, *module = memchr(p, '\n', f->n);
    const unsigned char *end = module ? memchr(module + 1, '\n', f->n - (size_t)(module + 1 - p)) : NULL;
    value *v = value_new(f, AS_PICKLE_NAME);
    if (!end)
        return pickle_damaged("it ends inside a name");
    take(f, (size_t)(end + 1 - p), &p);
    if (v) {
        v->text = p;
        v->n = (size_t)(end - p);
    }
    for (int i = 0; v && known[i]; i++)
        if (pickle_is(v, known[i]))
            return push(f, v);
    int name = end - module > 60 ? 60 : (int)(end - module - 1), of = module - p > 60 ? 60 : (int)(module - p);
    return as_say("pickle: it asks for %.*s of %.*s, which is not read here", name, (const char *)module + 1, of,
                  (const char *)p);
}

/* --- what names make --------------------------------------------------------------------------------------------- */

/* NAME called with a tuple: an empty dict, array or sparse matrix, or a type of elements. */
static const char *reduce(struct as_pickle *f)
{
    if (f->depth < 2 || !f->stack[f->depth - 2] || !top(f) || top(f)->kind != AS_PICKLE_TUPLE ||
        f->stack[f->depth - 2]->kind != AS_PICKLE_NAME)
        return pickle_damaged("a call of what is no name");
    const value *name = f->stack[f->depth - 2], *with = top(f);
    value *v = NULL;
    f->depth -= 2;
    if (!memcmp(name->text, "collections", 11))
        v = value_new(f, AS_PICKLE_DICT);
    else if (pickle_is(name, "numpy.core.multiarray\n_reconstruct"))
        v = value_new(f, AS_PICKLE_ARRAY);
    else if (pickle_is(name, "scipy.sparse.csr\ncsr_matrix"))
        v = value_new(f, AS_PICKLE_SPARSE);
    else if (pickle_is(name, "numpy\ndtype")) {
        const value *code = with->count ? with->item[0] : NULL;
        if (!code || code->kind != AS_PICKLE_TEXT || code->n != 2 || !strchr("iufbV", code->text[0]) ||
            !strchr("1248", code->text[1]))
            return as_say("pickle: an array of elements that are not read here (%.*s)",
                          code && code->kind == AS_PICKLE_TEXT && code->n < 20 ? (int)code->n : 0,
                          code && code->text ? (const char *)code->text : "");
        v = value_new(f, AS_PICKLE_DTYPE);
        if (v) {
            v->type = (char)code->text[0];
            v->size = code->text[1] - '0';
        }
    } else
        return pickle_damaged("a call of a name that is none");
    return push(f, v);
}

/* State of an array: (version, sizes, type, Fortran order, bytes). */
static const char *build_array(value *v, const value *state)
{
    const value *const *s = (const value *const *)state->item;
    if (state->kind != AS_PICKLE_TUPLE || state->count != 5 || !s[1] || s[1]->kind != AS_PICKLE_TUPLE ||
        s[1]->count > 4 || s[2]->kind != AS_PICKLE_DTYPE || s[3]->kind != AS_PICKLE_BOOL || s[4]->kind != AS_PICKLE_TEXT)
        return as_say("pickle: an array with more than four sizes, of objects, or damaged");
    if (s[3]->i && s[1]->count > 1)
        return as_say("pickle: an array in Fortran order is not read here");
    size_t elements = 1, room = s[4]->n / (size_t)s[2]->size;
    for (ptrdiff_t k = 0; k < s[1]->count; k++) {
        const value *size = s[1]->item[k];
        if (size->kind != AS_PICKLE_INT || size->i < 0 || size->i > PTRDIFF_MAX ||
            (size->i && elements > room / (size_t)size->i))
            return pickle_damaged("an array whose sizes are not those of its bytes");
        elements *= (size_t)size->i;
        v->dim[k] = (ptrdiff_t)size->i;
    }
    if (elements != room || s[4]->n % (size_t)s[2]->size)
        return pickle_damaged("an array whose sizes are not those of its bytes");
    if ((s[2]->type == 'f' && s[2]->size < 4) || s[2]->type == 'V')
        return as_say("pickle: an array of elements that are not read here");
    v->rank = (int)s[1]->count;
    v->text = s[4]->text;
    v->n = s[4]->n;
    v->type = s[2]->type;
    v->size = s[2]->size;
    v->big = s[2]->big;
    return NULL;
}

static const char *build(struct as_pickle *f)
{
    if (f->depth < 2 || !top(f) || !f->stack[f->depth - 2])
        return pickle_damaged("a state without its object");
    value *v = f->stack[f->depth - 2], *state = top(f);
    f->depth--;
    if (v->kind == AS_PICKLE_ARRAY)
        return build_array(v, state);
    if (v->kind == AS_PICKLE_DTYPE && state->kind == AS_PICKLE_TUPLE && state->count > 1) {
        v->big = pickle_is(state->item[1], ">");
        return NULL;
    }
    if (v->kind == AS_PICKLE_SPARSE && state->kind == AS_PICKLE_DICT)
        return v->fields = state, NULL;
    return pickle_damaged("a state that its object does not have");
}

/* --- the machine ------------------------------------------------------------------------------------------------- */

/* The items above the last mark, which goes; their number, or -1. */
static ptrdiff_t unmark(struct as_pickle *f)
{
    size_t end = f->depth, at = end;
    while (at > 0 && f->stack[at - 1])
        at--;
    if (at == 0)
        return -1;
    f->depth = at - 1;
    return (ptrdiff_t)(end - at);
}

static const char *push_tuple(struct as_pickle *f, ptrdiff_t n)
{
    value *v = value_new(f, AS_PICKLE_TUPLE);
    if (n < 0 || (size_t)n > f->depth)
        return pickle_damaged("a tuple without its items");
    value **from = f->stack + f->depth - n;
    for (ptrdiff_t k = 0; k < n; k++)
        if (!from[k])
            return pickle_damaged("a tuple without its items");
    const char *why = v ? append(v, from, n) : NULL;
    f->depth -= (size_t)n;
    return why ? why : push(f, v);
}

/* A tuple of all above the mark: the items slide down by one over it. */
static const char *push_marked(struct as_pickle *f)
{
    ptrdiff_t n = unmark(f);
    if (n < 0)
        return pickle_damaged("a tuple without its mark");
    memmove(f->stack + f->depth, f->stack + f->depth + 1, (size_t)n * sizeof *f->stack);
    f->depth += (size_t)n;
    return push_tuple(f, n);
}

/* Puts n items into the list or dict below them: below their mark when there is one. */
static const char *put_items(struct as_pickle *f, bool marked, ptrdiff_t n, enum as_pickle_kind kind)
{
    if (marked)
        n = unmark(f);
    else if (f->depth < (size_t)n)
        n = -1;
    else
        f->depth -= (size_t)n;
    value **from = f->stack + f->depth + marked;
    if (n < 0 || !top(f) || top(f)->kind != kind || (kind == AS_PICKLE_DICT && n % 2))
        return pickle_damaged("items without their list or dict");
    for (ptrdiff_t k = 0; k < n; k++)
        if (!from[k])
            return pickle_damaged("items without their list or dict");
    return append(top(f), from, n);
}

static const char *memo(struct as_pickle *f, int bytes, bool put)
{
    const unsigned char *p;
    if (!take(f, (size_t)bytes, &p))
        return pickle_damaged("it ends inside a number");
    uint64_t at = pickle_bits(p, bytes, false);
    if (at >= f->most || (put ? !top(f) : !f->memo[at]))
        return pickle_damaged("a memo that there is not");
    if (put)
        f->memo[at] = top(f);
    return put ? NULL : push(f, f->memo[at]);
}

static const char *push_bool(struct as_pickle *f, bool is)
{
    value *v = value_new(f, AS_PICKLE_BOOL);
    if (v)
        v->i = is;
    return push(f, v);
}

static const char *step(struct as_pickle *f, unsigned char op)
{
    switch (op) {
    case '(': f->stack[f->depth++] = NULL; return NULL;
    case ')': return push_tuple(f, 0);
    case 0x85: return push_tuple(f, 1);
    case 0x86: return push_tuple(f, 2);
    case 0x87: return push_tuple(f, 3);
    case 't': return push_marked(f);
    case ']': return push(f, value_new(f, AS_PICKLE_LIST));
    case '}': return push(f, value_new(f, AS_PICKLE_DICT));
    case 'a': return put_items(f, false, 1, AS_PICKLE_LIST);
    case 'e': return put_items(f, true, 0, AS_PICKLE_LIST);
    case 's': return put_items(f, false, 2, AS_PICKLE_DICT);
    case 'u': return put_items(f, true, 0, AS_PICKLE_DICT);
    case 'N': return push(f, value_new(f, AS_PICKLE_NONE));
    case 0x88: return push_bool(f, true);
    case 0x89: return push_bool(f, false);
    case 'K': return push_int(f, 1);
    case 'M': return push_int(f, 2);
    case 'J': return push_int(f, 4);
    case 'G': return push_float(f);
    case 'U': case 'C': return push_text(f, 1);
    case 'T': case 'X': case 'B': return push_text(f, 4);
    case 'q': return memo(f, 1, true);
    case 'r': return memo(f, 4, true);
    case 'h': return memo(f, 1, false);
    case 'j': return memo(f, 4, false);
    case 'c': return push_name(f);
    case 'R': case 0x81: return reduce(f);
    case 'b': return build(f);
    default: return as_say("pickle: the instruction 0x%02x is not read here", op);
    }
}

struct as_pickle *as_pickle_open(struct as_bytes file, const char **why)
{
    *why = NULL;
    if (file.n < 4 || file.data[0] != 0x80 || (file.data[1] != 2 && file.data[1] != 3)) {
        *why = as_say("not a pickle of protocol 2 or 3");
        return NULL;
    }
    struct as_pickle *f = calloc(1, sizeof *f);
    if (f) {
        *f = (struct as_pickle){ .p = file.data + 2, .n = file.n - 2, .most = file.n };
        f->stack = calloc(f->most, sizeof *f->stack);
        f->memo = calloc(f->most, sizeof *f->memo);
    }
    if (!f || !f->stack || !f->memo)
        *why = as_say("pickle: out of memory");
    const unsigned char *op = NULL;
    while (!*why) {
        if (!take(f, 1, &op))
            *why = pickle_damaged("it does not come to an end");
        else if (*op == '.')
            break;
        else
            *why = step(f, *op);
    }
    if (!*why && (f->depth != 1 || !top(f)))
        *why = pickle_damaged("it ends with more than one value, or none");
    if (!*why)
        return f;
    as_pickle_close(f);
    return NULL;
}

void as_pickle_close(struct as_pickle *p)
{
    if (!p)
        return;
    for (value *v = p->all, *next; v; v = next) {
        next = v->next;
        free(v->item);
        free(v);
    }
    free(p->stack);
    free(p->memo);
    free(p);
}

const struct as_pickle_value *as_pickle_root(const struct as_pickle *p) { return top(p); }
