/*
 * Measures jitterentropy-library for BenchmarkJitterentropy: prints its version, and
 * the nanoseconds that one of n blocks of 256 bits takes.
 *
 * Usage: jitterentropy n [fips]
 */
#include <jitterentropy.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct rand_data *collector;
	struct timespec start, end;
	unsigned int flags = argc > 2 ? JENT_FORCE_FIPS : 0;
	long i, n = argc > 1 ? atol(argv[1]) : 0;
	char block[32];
	int ret;

	if (n < 1) {
		fprintf(stderr, "usage: %s n [fips]\n", argv[0]);
		return 2;
	}
	ret = jent_entropy_init_ex(0, flags);
	if (ret) {
		fprintf(stderr, "jent_entropy_init_ex: error %d\n", ret);
		return 1;
	}
	collector = jent_entropy_collector_alloc(0, flags);
	if (!collector) {
		fprintf(stderr, "jent_entropy_collector_alloc: no collector\n");
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < n; i++) {
		if (jent_read_entropy(collector, block, sizeof(block)) != (ssize_t)sizeof(block)) {
			fprintf(stderr, "jent_read_entropy: block %ld is short\n", i);
			return 1;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	jent_entropy_collector_free(collector);
	printf("%u %.0f\n", jent_version(),
	       ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / (double)n);
	return 0;
}
