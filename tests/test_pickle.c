/* test_pickle.c: pickles written here byte by byte: what is read, what is refused by name, and cut or changed at every
 * byte; and the real graph when ASSAY_MIRROR has it (through `assay check cora`). */
#include <assay/pickle.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01" "b\x87R"
#define DTYPE(code, order) "cnumpy\ndtype\nU\x02" code "K\x00K\x01\x87R(K\x03U\x01" order "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
#define BYTES(n, text) "T" n "\x00\x00\x00" text
#define FILE_OF(text) ((struct as_bytes){ (const unsigned char *)(text), sizeof(text) - 1 })

/* {'a': [1, 300, -2], 'b': (2.5, True, None), 'm': [[1, 2, 3], [4, 5, -6]] as int16, big-endian} */
static const char dict[] = "\x80\x02}q\x01(U\x01" "a](K\x01M\x2c\x01J\xfe\xff\xff\xff" "eU\x01" "b(G@\x04\x00\x00\x00\x00\x00\x00\x88NtU\x01m"
    ARRAY "(K\x01K\x02K\x03\x86" DTYPE("i2", ">") "\x89" BYTES("\x0c", "\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\xff\xfa") "tbu.";

/* A sparse matrix of 2 x 3: (0, 2) = 1.5, (1, 0) = -1. */
static const char sparse[] = "\x80\x02" "cscipy.sparse.csr\ncsr_matrix\n)\x81}(U\x06_shapeK\x02K\x03\x86U\x06indptr"
    ARRAY "(K\x01K\x03\x85" DTYPE("i4", "<") "\x89" BYTES("\x0c", "\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00") "tbU\x07indices"
    ARRAY "(K\x01K\x02\x85" DTYPE("i4", "<") "\x89" BYTES("\x08", "\x02\x00\x00\x00\x00\x00\x00\x00") "tbU\x04" "data"
    ARRAY "(K\x01K\x02\x85" DTYPE("f4", "<") "\x89" BYTES("\x08", "\x00\x00\xc0\x3f\x00\x00\x80\xbf") "tbub.";

static const struct as_pickle_value *open_root(struct as_bytes file, struct as_pickle **p)
{
    const char *why;
    *p = as_pickle_open(file, &why);
    if (!*p)
        fail_msg("%s", why);
    return as_pickle_root(*p);
}

static void values(void **state)
{
    (void)state;
    struct as_pickle *p;
    const struct as_pickle_value *root = open_root(FILE_OF(dict), &p), *a = as_pickle_get(root, "a");
    const struct as_pickle_value *b = as_pickle_get(root, "b"), *m = as_pickle_get(root, "m");
    assert_int_equal(root->kind, AS_PICKLE_DICT);
    assert_null(as_pickle_get(root, "c"));
    assert_int_equal(a->count, 3);
    assert_int_equal(a->item[1]->i, 300);
    assert_int_equal(a->item[2]->i, -2);
    assert_int_equal(b->kind, AS_PICKLE_TUPLE);
    assert_true(b->item[0]->x > 2.49 && b->item[0]->x < 2.51);
    assert_true(b->item[1]->kind == AS_PICKLE_BOOL && b->item[1]->i == 1);
    assert_int_equal(b->item[2]->kind, AS_PICKLE_NONE);
    assert_true(as_pickle_is_array(m, 2, true));
    assert_int_equal(m->dim[0], 2);
    assert_int_equal(m->dim[1], 3);
    assert_int_equal((int)as_pickle_number(m, 2), 3);
    assert_int_equal((int)as_pickle_number(m, 5), -6);
    as_pickle_close(p);
}

static void rows(void **state)
{
    (void)state;
    struct as_pickle *p;
    struct as_pickle_rows m;
    assert_null(as_pickle_sparse(open_root(FILE_OF(sparse), &p), &m));
    assert_int_equal(m.rows, 2);
    assert_int_equal(m.cols, 3);
    assert_int_equal((int)as_pickle_number(m.column, 0), 2);
    assert_true(as_pickle_number(m.value, 0) > 1.49 && as_pickle_number(m.value, 0) < 1.51);
    assert_true(as_pickle_number(m.value, 1) < -0.99);
    as_pickle_close(p);
}

static void refused(struct as_bytes file, const char *because)
{
    const char *why;
    struct as_pickle *p = as_pickle_open(file, &why);
    assert_null(p);
    if (!strstr(why, because))
        fail_msg("\"%s\" does not say \"%s\"", why, because);
}

static void refusals(void **state)
{
    (void)state;
    refused(FILE_OF("\x80\x02" "cos\nsystem\nU\x02ls\x85R."), "system of os");
    refused(FILE_OF("\x80\x02" "cposix\nsystem\nU\x02ls\x85R."), "system of posix");
    refused(FILE_OF("\x80\x02" "c__builtin__\nlist\nU\x02ls\x85R."), "damaged");
    refused(FILE_OF("\x80\x04K\x01."), "protocol");
    refused(FILE_OF("\x80\x02K\x01K\x02."), "more than one value");
    refused(FILE_OF("\x80\x02(K\x01."), "more than one value");
    refused(FILE_OF("\x80\x02h\x01."), "memo");
    refused(FILE_OF("\x80\x02T\xff\xff\xff\xff" "abc."), "ends inside a text");
    refused(FILE_OF("\x80\x02" ARRAY "(K\x01K\x02K\x03\x86" DTYPE("i2", "<") "\x88" BYTES("\x0c", "123456789012") "tb."), "Fortran");
    refused(FILE_OF("\x80\x02" ARRAY "(K\x01K\x02K\x04\x86" DTYPE("i2", "<") "\x89" BYTES("\x0c", "123456789012") "tb."), "sizes");
    refused(FILE_OF("\x80\x02" DTYPE("O8", "|") "."), "not read here");
}

/* A list that holds itself, and a text where a list is wanted: nothing is followed. */
static void loops(void **state)
{
    (void)state;
    struct as_pickle *p;
    const struct as_pickle_value *root = open_root(FILE_OF("\x80\x02]q\x01h\x01" "a."), &p);
    assert_ptr_equal(root->item[0], root);
    as_pickle_close(p);
}

/* Cut anywhere it is refused; with any byte changed it is refused or read, and the sanitizers see the rest. */
static void damage(void **state)
{
    (void)state;
    const char *file[] = { dict, sparse };
    size_t size[] = { sizeof dict - 1, sizeof sparse - 1 };
    for (int f = 0; f < 2; f++)
        for (size_t at = 0; at < size[f]; at++) {
            unsigned char *copy = malloc(size[f]);
            const char *why;
            struct as_pickle_rows m;
            memcpy(copy, file[f], size[f]);
            unsigned char *cut = malloc(at ? at : 1);
            memcpy(cut, copy, at);
            assert_null(as_pickle_open((struct as_bytes){ cut, at }, &why));
            free(cut);
            for (int v = 0; v < 256; v += 5) {
                copy[at] = (unsigned char)v;
                struct as_pickle *p = as_pickle_open((struct as_bytes){ copy, size[f] }, &why);
                if (p)
                    as_pickle_sparse(as_pickle_root(p), &m);
                as_pickle_close(p);
            }
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(rows), cmocka_unit_test(refusals), cmocka_unit_test(loops),
        cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
