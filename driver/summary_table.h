/* summary_table.h: metrics and budgets by arm, as tables of text. */
#ifndef ASSAY_DRIVER_SUMMARY_TABLE_H
#define ASSAY_DRIVER_SUMMARY_TABLE_H

#include <driver/results.h>

/* Cells of text that align themselves: the first column left, others right. */
struct table { char **text; int rows, columns; };
struct table table_new(int columns);
void table_put(struct table *t, int row, int column, const char *text);       /* copied; rows grow */
void table_free(struct table *t);

/* Metrics of one evaluation: a row an arm (and combination of its other axes), a column a value of its last axis; those of
 * a study without arms are one block, a row each. The caption says what the columns are. */
struct block { struct table table; char *caption; };

/* Gives put() the blocks of what claims and figures read, one after the other; of everything with `all`, or when they
 * read nothing. Each metric plain (of the last stage, if there are stages), at the end of each stage before, and in each
 * evaluation. Returns the names of those left out, with commas; malloc'd. */
char *table_blocks(struct results *r, bool all, void (*put)(void *ctx, const struct block *b), void *ctx);

struct table budget_make(struct results *r);

/* Prints them. */
void table_metrics(struct results *r, bool all);
void table_budgets(struct results *r);

#endif
