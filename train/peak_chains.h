/* peak_chains.h: the loop that finds a vector unit's peak, included by peak.c once for each kind of unit:
 *
 *   CHAINS   the function's name          VECTOR    the accumulators' type
 *   TARGET   its attribute                STEP(x)   one multiply-add into x, from a and b of type OPERAND
 *
 * A unit starts one or two multiply-adds a cycle, each done after four or five cycles: twelve chains that do not wait for each
 * other keep it busy, and fit with a and b into sixteen registers.
 */
static TARGET void CHAINS(size_t rounds)
{
    OPERAND a, b;
    VECTOR x[12];
    memset(&a, 0x3f, sizeof a); /* 0.747 in float and 0.746 in bf16: nothing overflows or fades */
    memset(&b, 0x3f, sizeof b);
    memset(x, 0x3f, sizeof x);
    __asm__ volatile(""
                     : "+m"(a), "+m"(b),
                       "+m"(x)); /* the compiler is not to see that all chains are one */
    VECTOR x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5];
    VECTOR x6 = x[6], x7 = x[7], x8 = x[8], x9 = x[9], x10 = x[10], x11 = x[11];
    for (size_t r = 0; r < rounds; r++) {
        STEP(x0), STEP(x1), STEP(x2), STEP(x3), STEP(x4), STEP(x5);
        STEP(x6), STEP(x7), STEP(x8), STEP(x9), STEP(x10), STEP(x11);
    }
    x[0] = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11;
    __asm__ volatile("" : : "m"(x)); /* nor that nobody reads the result */
}
#undef CHAINS
#undef TARGET
#undef VECTOR
#undef OPERAND
#undef STEP
