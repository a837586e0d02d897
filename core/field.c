/* field.c: see assay/field.h. */
#include <assay/error.h>
#include <assay/field.h>

#include <math.h>

#define PI 3.14159265358979323846
#define FAR 6.5                      /* exp(-6.5^2 / 2) is 7e-10 */

static double period(double extent, double scale) { return extent + FAR * scale; }

int as_field_modes(double extent, double scale)
{
    double n = ceil(FAR * period(extent, scale) / (2 * PI * scale));

    return n < 1e6 ? (int)n : 1000000;
}

void as_field_open(struct as_field *f, double extent, double scale)
{
    double p = period(extent, scale);

    f->modes = as_field_modes(extent, scale);
    f->w = 2 * PI / p;
    if (f->modes > AS_FIELD_MODES)
        as_fail(AS_REFUSED, "a random field of length scale %g on an interval of %g takes more than %d modes; raise "
                            "the length scale", scale, extent, AS_FIELD_MODES);
    for (int j = 0; j <= f->modes; j++) {
        double s = j * f->w * scale;

        f->a[j] = sqrt((j ? 2 : 1) * sqrt(2 * PI) * scale / p * exp(-s * s / 2));
    }
}

void as_field_draw(const struct as_field *f, struct as_key key, float *xi)
{
    for (int i = 0; i <= 2 * f->modes; i++)
        xi[i] = as_normal(key, (uint64_t)i);
}

double as_field_at(const struct as_field *f, const float *xi, double x)
{
    double u = f->a[0] * (double)xi[0];

    for (int j = 1; j <= f->modes; j++)
        u += f->a[j] * ((double)xi[2 * j - 1] * cos(j * f->w * x) + (double)xi[2 * j] * sin(j * f->w * x));
    return u;
}

/* 1 - cos by half the angle: small x would lose it. */
double as_field_integral(const struct as_field *f, const float *xi, double x)
{
    double sum = f->a[0] * (double)xi[0] * x;

    for (int j = 1; j <= f->modes; j++) {
        double w = j * f->w, half = sin(w * x / 2);

        sum += f->a[j] / w * ((double)xi[2 * j - 1] * sin(w * x) + (double)xi[2 * j] * 2 * half * half);
    }
    return sum;
}

void as_field_sample(const struct as_field *f, const float *xi, double from, double step, ptrdiff_t n, double *u)
{
    double c[AS_FIELD_MODES], s[AS_FIELD_MODES], turn_c[AS_FIELD_MODES], turn_s[AS_FIELD_MODES];

    /* With its amplitudes p, q mode j is c = p cos + q sin at the point reached, s = q cos - p sin beside it. */
    for (int j = 0; j < f->modes; j++) {
        double w = (j + 1) * f->w, p = f->a[j + 1] * (double)xi[2 * j + 1], q = f->a[j + 1] * (double)xi[2 * j + 2];

        c[j] = p * cos(w * from) + q * sin(w * from);
        s[j] = q * cos(w * from) - p * sin(w * from);
        turn_c[j] = cos(w * step);
        turn_s[j] = sin(w * step);
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        double sum = f->a[0] * (double)xi[0];

        for (int j = 0; j < f->modes; j++) {
            double was = c[j];

            sum += was;
            c[j] = was * turn_c[j] + s[j] * turn_s[j];
            s[j] = s[j] * turn_c[j] - was * turn_s[j];
        }
        u[i] = sum;
    }
}
