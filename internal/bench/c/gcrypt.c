/* Libgcrypt: its generator, or with -drbg and flags one of its DRBGs of SP 800-90A.
   There is one generator in a process. */

#include "worker.h"

#include <gcrypt.h>

static int randomize(const struct subject *s, unsigned char *p, size_t n)
{
	(void)s;
	gcry_randomize(p, n, GCRY_STRONG_RANDOM);
	return 1;
}

int main(int argc, char **argv)
{
	struct subject subject = {"randomize", randomize, NULL};
	if (argc == 2 && !strcmp(argv[1], "-version")) {
		printf("Libgcrypt %s\n", gcry_check_version(NULL));
		return 0;
	}
	double start = now(CLOCK_MONOTONIC);
	if (argc == 3 && !strcmp(argv[1], "-drbg"))
		gcry_control(GCRYCTL_SET_PREFERRED_RNG_TYPE, GCRY_RNG_TYPE_FIPS);
	if (!gcry_check_version(NULL))
		return 1;
	gcry_control(GCRYCTL_INIT_SECMEM, 65536, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	if (argc == 3) {
		gcry_error_t err = gcry_control(GCRYCTL_DRBG_REINIT, argv[2], NULL, 0, NULL);
		if (err) {
			fprintf(stderr, "gcrypt.c: %s: %s\n", argv[2], gcry_strerror(err));
			return 1;
		}
	}
	if (argc == 2 && !strcmp(argv[1], "-first")) {
		unsigned char p[32];
		gcry_randomize(p, sizeof p, GCRY_STRONG_RANDOM);
		printf("%.9g\n", now(CLOCK_MONOTONIC) - start);
		return 0;
	}
	return serve(&subject, 1);
}
