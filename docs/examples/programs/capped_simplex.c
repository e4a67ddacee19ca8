/* The projection onto {p in [0,1]^n : sum p = k} and its vjp, as a program for hsproj-verify. cc -O2 capped_simplex.c -lm
 *
 * One request a line on standard input, one reply a line on standard output: docs/protocol.md. The keys of a request come in
 * a fixed order and its strings hold no surprises, so strstr and strtod are all the JSON there is. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 1 << 22, LONGEST = 1 << 17 };
static char line[LINE];
static double x[LONGEST], p[LONGEST], g[LONGEST];

/* What follows a key of the request; NULL without such a key. */
static char *find(const char *key) {
    char *at = strstr(line, key);
    return at ? at + strlen(key) : NULL;
}

static double number(char **at) {
    *at += strspn(*at, "[, \""); /* "nan" and "inf" come as strings, and strtod knows them */
    return strtod(*at, at);
}

static void numbers(const char *key, double *into, int n) {
    char *at = find(key);
    for (int i = 0; i < n; i++) into[i] = number(&at);
}

static double total(int n, double theta, double tau) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += fmin(fmax((x[i] - theta) / tau, 0), 1);
    return sum;
}

/* Halve an interval that holds the threshold until its ends are neighbours. That tells which entries are free, and the
 * threshold that gives those the total they have to share is found anew, as its distance from one of them. */
static void project(int n, double k, double tau) {
    double low = INFINITY, high = -INFINITY, middle, base = 0, sum = 0;
    int ones = 0, free = 0;
    for (int i = 0; i < n; i++) low = fmin(low, x[i] - tau), high = fmax(high, x[i]);
    while (middle = low / 2 + high / 2, low < middle && middle < high)
        if (total(n, middle, tau) >= k) low = middle;
        else high = middle;
    for (int i = 0; i < n; i++) {
        if (x[i] - tau > low) ones++;
        else if (x[i] > low) sum += x[i] - (base = free++ ? base : x[i]);
    }
    double delta = free ? (sum - (k - ones) * tau) / free : low;
    for (int i = 0; i < n; i++) p[i] = fmin(fmax(((x[i] - base) - delta) / tau, 0), 1);
}

static void vjp(int n, double tau) {
    double sum = 0, few = 8 * DBL_EPSILON;
    int free = 0;
    for (int i = 0; i < n; i++)
        if (few < p[i] && p[i] < 1 - few) sum += g[i], free++;
    for (int i = 0; i < n; i++) p[i] = few < p[i] && p[i] < 1 - few ? (g[i] - sum / free) / tau : 0;
}

static int is_valid(int n, double k, double tau) {
    for (int i = 0; i < n; i++)
        if (isnan(x[i])) return 0;
    return 0 <= k && k <= n && 0 < tau && tau < INFINITY;
}

int main(void) {
    while (fgets(line, LINE, stdin)) {
        char *id = find("\"id\": "), *op = find("\"op\": ");
        long number_of_request = strtol(id, NULL, 10);
        if (strncmp(op, "\"hello\"", 7) == 0) {
            printf("{\"id\": %ld, \"result\": {\"protocol\": 1, \"operations\": [\"project\", \"vjp\"], "
                   "\"without\": [\"infinities\", \"large\", \"offsets\"], \"note\": \"bisection, in C\"}}\n", number_of_request);
        } else {
            int n = strtol(find("\"n\": "), NULL, 10);
            char *at = find("\"k\": "), *behind = find("\"temperature\": ");
            double k = number(&at), tau = number(&behind);
            numbers("\"x\": ", x, n);
            if (is_valid(n, k, tau)) {
                project(n, k, tau);
                if (strncmp(op, "\"vjp\"", 5) == 0) numbers("\"g\": ", g, n), vjp(n, tau);
                printf("{\"id\": %ld, \"result\": [", number_of_request);
                for (int i = 0; i < n; i++) printf("%s%.17g", i ? ", " : "", p[i]);
                printf("]}\n");
            } else
                printf("{\"id\": %ld, \"error\": \"0 <= k <= n, a positive temperature and no NaN, please\"}\n",
                       number_of_request);
        }
        fflush(stdout);
    }
}
