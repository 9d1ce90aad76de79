/* The protocol of worker.go, for generators that are libraries in C. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A subject fills a buffer, and returns 1. */
struct subject {
	const char *name;
	int (*read)(const struct subject *, unsigned char *, size_t);
	void *context;
};

static double now(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The smallest of n sorted values that a part q of them does not exceed. */
static double percentile(const double *sorted, long n, double q)
{
	double exact = q * n;
	long i = (long)exact;
	if (i < exact)
		i++;
	return sorted[i < 1 ? 0 : i - 1];
}

static void cpu(const struct subject *s, unsigned char *p, long size, long n)
{
	double start = now(CLOCK_THREAD_CPUTIME_ID);
	for (long i = 0; i < n; i++)
		if (s->read(s, p, size) != 1) {
			printf("error\t%s: no output\n", s->name);
			return;
		}
	printf("%.9g\n", (now(CLOCK_THREAD_CPUTIME_ID) - start) / n);
}

static void latency(const struct subject *s, unsigned char *p, long size, long n)
{
	double *times = malloc(n * sizeof *times);
	if (!times) {
		printf("error\tno memory\n");
		return;
	}
	for (long i = 0; i < n; i++) {
		double start = now(CLOCK_MONOTONIC);
		if (s->read(s, p, size) != 1) {
			printf("error\t%s: no output\n", s->name);
			free(times);
			return;
		}
		times[i] = now(CLOCK_MONOTONIC) - start;
	}
	qsort(times, n, sizeof *times, ascending);
	printf("%.9g %.9g %.9g\n", percentile(times, n, 0.5), percentile(times, n, 0.99), percentile(times, n, 0.999));
	free(times);
}

static int serve(const struct subject *subjects, size_t count)
{
	char line[256];
	for (size_t i = 0; i < count; i++)
		printf("%s%s", subjects[i].name, i + 1 < count ? "\t" : "\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		char metric[16], name[64];
		long size, goroutines, n;
		const struct subject *s = NULL;
		unsigned char *p = NULL;
		if (sscanf(line, "%15[^\t]\t%63[^\t]\t%ld\t%ld\t%ld", metric, name, &size, &goroutines, &n) == 5 &&
		    size > 0 && n > 0)
			for (size_t i = 0; i < count; i++)
				if (!strcmp(name, subjects[i].name))
					s = &subjects[i];
		if (s)
			p = malloc(size);
		if (!p)
			printf("error\tnot to be measured here: %s", line);
		else if (!strcmp(metric, "cpu"))
			cpu(s, p, size, n);
		else if (!strcmp(metric, "latency"))
			latency(s, p, size, n);
		else
			printf("error\tno metric %s\n", metric);
		free(p);
		fflush(stdout);
	}
	return 0;
}
