/* Runs the test vectors on a projection written here, with no Python, no library, no JSON parser: runner FILE.json ...
   Each field of a vector stands on a line of its own and `  }` ends the vector: that is all this has to know of JSON.
   Passes within 8 eps (1 + p), times 1 + k / m in rows flagged LongRow, m being the number of free entries.
   -DBUG=1 truncates k, 2 holds theta as one double, 3 clips and rescales, 4 refuses nothing: vectors must fail. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LDBL_MANT_DIG >= 64, "needs a long double that is wider than a double");
enum { LONGEST = 4096 };
typedef long double real;

static real clip(real v) { return v > 0 ? v < 1 ? v : 1 : 0; }

/* p of one row; 0 if there is none. F(theta) = sum of clip((x - theta) / tau) falls, and bends at x_j - s tau, s = 0 or 1.
   From the last bend where F >= k, one step along the slope, the number of entries in (0, 1], ends at k: so take that step
   from every bend, and keep the sum that is closest. All is relative to x_j: an offset costs nothing. */
static int project(int n, const double *x, double k, double tau, real *p) {
    int forced = 0, masked = 0;
    real least = INFINITY, q[LONGEST];
    for (int i = 0; i < n; i++) {
        forced += x[i] == INFINITY, masked += x[i] == -INFINITY;
        if (isnan(x[i])) k = NAN;
        p[i] = x[i] == INFINITY;
    }
    if (BUG != 4 && (!(tau > 0 && tau < INFINITY) || !(k >= 0 && k <= n) || k < forced || k > n - masked)) return 0;
    if (BUG == 1) k = floor(k);
    if (BUG == 3) {
        real sum = 0;
        for (int i = 0; i < n; i++) sum += p[i] = clip(x[i] / (real)tau);
        for (int i = 0; i < n; i++) p[i] *= k / sum;
        return 1;
    }
    for (int j = 0; j < 2 * n; j++) {
        real sum = forced, slope = 0, pivot = x[j / 2], s = j % 2;
        if (isinf(x[j / 2])) continue;
        for (int i = 0; i < n; i++) {
            real v = (x[i] - pivot) / tau + s;
            if (isfinite(x[i])) sum += clip(v), slope += v > 0 && v <= 1;
        }
        real down = slope > 0 ? (sum - k) / slope : 0, off = forced - (real)k;
        double theta = (double)(pivot - (s - down) * tau); /* for BUG 2 alone */
        for (int i = 0; i < n; i++) {
            q[i] = clip(BUG == 2 ? (x[i] - theta) / tau : (x[i] - pivot) / tau + s - down);
            off += isfinite(x[i]) ? q[i] : 0;
        }
        for (int i = 0; i < n && fabsl(off) < least; i++) p[i] = isfinite(x[i]) ? q[i] : p[i];
        least = fminl(least, fabsl(off));
    }
    return 1;
}

/* The strings of a line, or the only one, as floats; their number. */
static int floats(char *value, double *into) {
    int n = 0;
    for (char *at = strchr(value, '"'); at && n < LONGEST; at = strchr(at + 1, '"')) into[n++] = strtod(at + 1, &at);
    return n;
}

int main(int count, char **files) {
    static double x[LONGEST], k, tau, exact[LONGEST];
    static real p[LONGEST];
    static char id[99];
    int n = 0, valid = 0, single = 0, is_long = 0, m = 0, passed = 0, failed = 0;
    for (int f = 1; f < count; f++) {
        FILE *file = fopen(files[f], "r");
        if (!file) return perror(files[f]), 2;
        char *line = 0, *value, key[32];
        for (size_t size = 0; getline(&line, &size, file) > 0;) {
            if (!strncmp(line, "  }", 3)) { /* the vector is complete */
                int answered = project(n, x, k, tau, p), right = answered == valid;
                double allowed = 8 * (single ? FLT_EPSILON : DBL_EPSILON);
                if (is_long) allowed *= 1 + k / (m ? m : 1);
                for (int i = 0; i < n && valid && answered; i++)
                    right &= fabs((single ? (float)p[i] : (double)p[i]) - exact[i]) <= allowed * (1 + exact[i]);
                if (!right) printf("%s failed\n", id);
                right ? passed++ : failed++;
                continue;
            }
            if (sscanf(line, " \"%31[a-z_0-9]\"", key) != 1 || !(value = strstr(line, "\": "))) continue;
            value += 3;
            if (!strcmp(key, "id")) sscanf(value, "\"%98[^\"]", id);
            if (!strcmp(key, "flags")) is_long = strstr(value, "\"LongRow\"") != 0;
            if (!strcmp(key, "result")) valid = !strncmp(value, "\"valid\"", 7);
            if (!strcmp(key, "dtype")) single = strstr(value, "float32") != 0;
            if (!strcmp(key, "x")) n = floats(value, x);
            if (!strcmp(key, "k")) floats(value, &k);
            if (!strcmp(key, "temperature")) floats(value, &tau);
            if (!strcmp(key, single ? "p_float32" : "p_float64")) floats(value, exact);
            if (!strcmp(key, "free")) for (m = 0; *value; value++) m += *value == '1';
        }
        free(line), fclose(file);
    }
    printf("%d passed, %d failed, 0 skipped\n", passed, failed); /* it claims all that vectors ask of a projection */
    return failed || !passed;
}
