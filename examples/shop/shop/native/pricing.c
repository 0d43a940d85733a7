/* Arithmetic on whole price lists, too slow in Python. Plain C99, no dependencies. */

#include <stdlib.h>
#include <string.h>

#define BELOW_FLOOR (-1L)
#define NO_MEMORY (-2L)

/* Multiplies `count` prices by `factor`, all or none of them.
 * Returns how many were changed, or BELOW_FLOOR if any would be lower than `floor`. */
long markdown(double *prices, size_t count, double factor, double floor)
{
    size_t below = 0;
    double *lowered = malloc(count * sizeof *lowered);

    if (lowered == NULL)
        return NO_MEMORY;

    for (size_t i = 0; i < count; i++) {
        lowered[i] = prices[i] * factor;
        below += lowered[i] < floor;
    }
    if (below > 0)
        return BELOW_FLOOR;

    memcpy(prices, lowered, count * sizeof *lowered);
    free(lowered);
    return (long)count;
}
