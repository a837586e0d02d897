/* The claim language over made-up results: refusals, what is accepted, and which points are read. */
#include "claim_fake.h"

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void parse_errors(void **state)
{
    static const struct { const char *that; int column; const char *words; } wrong[] = {
        {"", 1, "found the end"},
        {"nll", 4, "expected one of"},
        {"nll <= ", 8, "found the end"},
        {"nll <= 8.7 by 0.1", 1, "put it into the number"},
        {"nll[mixer=gru <= 3", 15, "expected ']'"},
        {"nll[mixer] <= 3", 10, "expected '='"},
        {"nll[mixer=] <= 3", 11, "a value"},
        {"nll[mixer=\"gru] <= 3", 11, "not closed"},
        {"nll[mixer=gru, mixer=lstm] <= 3", 16, "fixed twice"},
        {"nll[seed=1] <= 3", 5, "replicates"},
        {"nll <= 3x", 8, "'3x'"},
        {"nll <= 1e999", 8, "number"},
        {"foo(nll) <= 3", 1, "unknown function 'foo'"},
        {"2 < 3", 1, "two numbers"},
        {"nll == 3", 1, "within"},
        {"nll < 3 within 1", 1, "=="},
        {"a > b > c", 7, "ranking(a > b > c)"},
        {"a > b by -1", 10, "not negative"},
        {"a > b by factor 0.5", 17, "greater than 1"},
        {"a == b within 0", 15, "greater than 0"},
        {"a > b by", 9, "a number"},
        {"a > b nonsense", 7, "'nonsense'"},
        {"share(a > 1) >= 1", 1, "exactly 0 or 1"},
        {"share(a > 1) >= b", 1, "compared with a number"},
        {"1 + share(a > 1) >= 0.5", 5, "stands alone"},
        {"share(share(a > 1) > 0.5) >= 0.5", 7, "counts seeds"},
        {"spread(a) < spread(b) by 1", 1, "by factor"},
        {"ranking(a > b < c)", 15, "all '>'"},
        {"ranking(a)", 10, "expected one of"},
        {"ranking(a > 3)", 13, "not of numbers"},
        {"monotone(a over k)", 18, "'up' or 'down'"},
        {"slope(a) > 1", 8, "over KEY"},
        {"steps_to(a) < 3", 11, "expected one of"},
        {"steps_to(a mean over k <= 1) < 3", 12, "one curve"},
        {"steps_to(a == 1) < 3", 14, "passes a level"},
        {"identity(x) >= 1e-5", 1, "at most"},
        {"max(a, b over k) < 1", 1, "either several"},
        {"a / 0 > 1", 1, "finite"},
        {"a > b and", 10, "found the end"},
        {"a > \xc3\xa4", 5, "found"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct claim_error err = {0};
        struct claim_text text = {"c", wrong[i].that, NULL, "proposal", NULL};
        struct claim *claim = claim_parse(&text, &err);
        if (claim != NULL || strstr(err.text, wrong[i].words) == NULL || err.column != wrong[i].column ||
            err.field == NULL || strcmp(err.field, "that") != 0 || strchr(err.text, '\n') != NULL)
            fail_msg("'%s': column %d: %s (expected %d: %s)", wrong[i].that, err.column, err.text, wrong[i].column,
                     wrong[i].words);
    }
}

static void other_fields(void **state)
{
    static const struct { struct claim_text text; const char *field, *words; } wrong[] = {
        {{"c", "a > b", "a >", "proposal", NULL}, "given", "found the end"},
        {{"c", "a > b", NULL, NULL, NULL}, "source", "where it comes from"},
        {{"c", "a > b", NULL, "papers", NULL}, "source", "neither"},
        {{"c", "a > b", NULL, "paper", NULL}, "source", "names its section"},
        {{"c", "a > b", NULL, "proposal", "0.2"}, "alpha", "stricter"},
        {{"c", "a > b", NULL, "proposal", "small"}, "alpha", "not a number"},
        {{"c", NULL, NULL, "proposal", NULL}, "that", "that = "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct claim_error err = {0};
        struct claim *claim = claim_parse(&wrong[i].text, &err);
        assert_null(claim);
        assert_string_equal(err.field, wrong[i].field);
        assert_non_null(strstr(err.text, wrong[i].words));
    }
    char deep[500];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    struct claim_error err = {0};
    struct claim_text text = {"c", deep, NULL, "proposal", NULL};
    assert_null(claim_parse(&text, &err));
    assert_non_null(strstr(err.text, "nested"));
}

static void check_errors(void **state)
{
    static const struct { const char *that; int column; const char *words; } wrong[] = {
        {"nll <= 3", 1, "leaves mixer open (gru, lstm, rnn)"},
        {"long.nll[mixer=gru] <= 3", 1, "leaves long.length open (40, 80, 160, 256)"},
        {"nll[mixer=gru] < acuracy[mixer=gru]", 18, "the nearest is 'accuracy'"},
        {"nll-2 < 3", 1, "blanks around"},
        {"nll[mixr=gru] < 3", 1, "the nearest is 'mixer'"},
        {"nll[mixer=elman] < 3", 1, "has no value 'elman' of mixer"},
        {"nll[mixer=gru, mean over width] < 3", 16, "an open axis width; open: depth"},
        {"accuracy[mixer=gru] >= 1", 1, "between 0 and 1"},
        {"accuracy[mixer=gru] >= 0.9999", 1,
         "2000 test examples cannot resolve a threshold of 0.9999: that needs 30000"},
        {"1 - accuracy[mixer=gru] <= 0.0001", 1, "cannot resolve"},
        {"share(accuracy[mixer=gru] >= 0.9999) >= 0.5", 7, "cannot resolve"},
        {"slope(nll over mixer) > 0", 1, "two different numbers"},
        {"slope(nll[mixer=gru] over width) > 0", 1, "an open axis width"},
        {"monotone(nll[mixer=gru] over width up)", 10, "an open axis width"},
        {"identity(unheard) <= 1e-5", 1, "'chunk-equals-step'"},
        {"1 + nll[mixer=gru] > nll[mixer=lstm] by factor 2", 1, "factor compares"},
    };
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 3.0, 0.1);
    struct claim_source source = source_of(&fake);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct claim_error err = {0};
        struct claim *claim = parse(wrong[i].that, NULL, "proposal");
        int status = claim_check(claim, &source, &err);
        if (status != -1 || err.column != wrong[i].column || strstr(err.text, wrong[i].words) == NULL ||
            err.claim == NULL)
            fail_msg("'%s': %d: column %d: %s (expected %d: %s)", wrong[i].that, status, err.column, err.text,
                     wrong[i].column, wrong[i].words);
        claim_free(claim);
    }
}

static void accepted(void **state)
{
    static const char *const right[] = {
        "share(long.accuracy[mixer=gru, long.length=160] >= 0.95) >= 0.7",
        "long.accuracy[mixer=gru,long.length=160] > long.accuracy[ mixer = lstm , long.length = \"160\" ] by 20%",
        "nll[mixer=gru] <= 8.70",
        "8.7 >= nll[mixer=gru, depth=1]",
        "nll[mixer=gru] == nll[mixer=lstm] within 0.2",
        "spread(nll[mixer=gru]) <= 0.05",
        "long.accuracy[mixer=gru] mean over long.length >= 0.9",
        "long.accuracy[mixer=gru, max over long.length] >= 0.9",
        "mean(long.accuracy[mixer=gru] over long.length) >= 0.9",
        "max(nll[mixer=gru], nll[mixer=lstm]) <= 3",
        "ranking(accuracy[mixer=gru] > accuracy[mixer=lstm] > accuracy[mixer=rnn]) by 0.01",
        "slope(log(wide.error[mixer=gru]) over log(width)) == -0.5 within 0.1",
        "monotone(wide.nll[mixer=gru] over width down) within 0.01",
        "spearman(wide.nll[mixer=gru] over width) <= -0.9",
        "steps_to(nll[mixer=gru] <= 2) < steps_to(nll[mixer=lstm] <= 2) by factor 1.5",
        "identity(chunk-equals-step) <= 1e-5",
        "abs(nll[mixer=gru] - nll[mixer=lstm]) / sqrt(nll[mixer=rnn]) < -(-2) * exp(1)",
        "nll[mixer=gru] < 3 and nll[mixer=lstm] < 3",
        "nll mean over mixer < 3",
    };
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 3.0, 0.1);
    struct claim_source source = source_of(&fake);
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        struct claim_error err = {0};
        struct claim *claim = parse(right[i], "nll[mixer=gru] < 100", "paper, table 1");
        if (claim_check(claim, &source, &err) != 0)
            fail_msg("'%s': column %d: %s", right[i], err.column, err.text);
        assert_true(claim_from_paper(claim));
        char text[200];
        struct claim_options options = {0};
        assert_int_equal(claim_power(claim, &source, &options, 10, text, sizeof text, &err), 0);
        assert_true(strlen(text) > 10);
        claim_free(claim);
    }
}

static int count_point(void *arg, const char *metric, const struct claim_key *key, size_t n)
{
    char *text = arg;
    strcat(text, metric);
    for (size_t i = 0; i < n; i++)
        sprintf(text + strlen(text), " %s=%s", key[i].key, key[i].value);
    strcat(text, "; ");
    return 0;
}

static void points(void **state)
{
    struct fake fake;
    struct claim_error err;
    char text[1000] = "";
    (void)state;
    fill_all(&fake, 10, 3.0, 0.1);
    struct claim_source source = source_of(&fake);
    struct claim *claim = parse("wide.nll[mixer=gru] max over width < nll[mixer=rnn]",
                                "seconds[mixer=gru] < 9", "proposal");
    assert_int_equal(claim_points(claim, &source, count_point, text, &err), 0);
    assert_string_equal(text, "wide.nll mixer=gru width=1; wide.nll mixer=gru width=2; wide.nll mixer=gru width=4; "
                              "wide.nll mixer=gru width=8; nll mixer=rnn; seconds mixer=gru; ");
    claim_free(claim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_errors), cmocka_unit_test(other_fields), cmocka_unit_test(check_errors),
        cmocka_unit_test(accepted), cmocka_unit_test(points)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
