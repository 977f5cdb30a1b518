/* A C test program: CHECK counts and prints failures; main returns their number, so the exit code is the truth.
 *
 *     int main(void) { T0_RUN(norm_backward_agrees_with_differences); return t0_report(); } */
#ifndef T0_CHECK_H
#define T0_CHECK_H

#include <math.h>
#include <stdio.h>

static int t0_checks, t0_failures;

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        t0_checks++;                                                                       \
        if (!(condition)) {                                                                \
            t0_failures++;                                                                 \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);      \
        }                                                                                  \
    } while (0)

/* |got - expected| <= absolute + relative |expected|; false for NaN. */
#define CHECK_NEAR(got, expected, absolute, relative)                                                                  \
    do {                                                                                                               \
        const double t0_got = (got), t0_expected = (expected);                                                         \
        t0_checks++;                                                                                                   \
        if (!(fabs(t0_got - t0_expected) <= (absolute) + (relative) * fabs(t0_expected))) {                            \
            t0_failures++;                                                                                             \
            fprintf(stderr, "%s:%d: %s is %.9g, expected %s, which is %.9g\n", __FILE__, __LINE__, #got, t0_got,       \
                    #expected, t0_expected);                                                                           \
        }                                                                                                              \
    } while (0)

#define T0_RUN(test)                                                                            \
    do {                                                                                        \
        const int t0_before = t0_failures;                                                      \
        test();                                                                                 \
        printf("%s %s\n", t0_failures == t0_before ? "ok    " : "FAILED", #test);               \
    } while (0)

static inline int t0_report(void) {
    printf("%d checks, %d failed\n", t0_checks, t0_failures);
    return t0_failures > 100 ? 100 : t0_failures;
}

#endif
