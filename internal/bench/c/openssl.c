/* OpenSSL 3, default provider. */

#include "worker.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

static int rand_bytes(const struct subject *s, unsigned char *p, size_t n)
{
	(void)s;
	return RAND_bytes(p, n);
}

/* One request for each call, of a generator of its own that is seeded by the one of
   the library and never reseeded. */
static int generate(const struct subject *s, unsigned char *p, size_t n)
{
	return EVP_RAND_generate(s->context, p, n, 256, 0, NULL, 0);
}

static EVP_RAND_CTX *new_drbg(const char *name, const char *cipher, const char *digest)
{
	unsigned int requests = 1u << 24;
	time_t interval = 0;
	OSSL_PARAM params[6], *p = params;
	EVP_RAND *algorithm = EVP_RAND_fetch(NULL, name, NULL);
	EVP_RAND_CTX *c = algorithm ? EVP_RAND_CTX_new(algorithm, RAND_get0_primary(NULL)) : NULL;
	if (!c)
		return NULL;
	if (cipher)
		*p++ = OSSL_PARAM_construct_utf8_string(OSSL_DRBG_PARAM_CIPHER, (char *)cipher, 0);
	if (digest)
		*p++ = OSSL_PARAM_construct_utf8_string(OSSL_DRBG_PARAM_DIGEST, (char *)digest, 0);
	if (!strcmp(name, "HMAC-DRBG"))
		*p++ = OSSL_PARAM_construct_utf8_string(OSSL_DRBG_PARAM_MAC, "HMAC", 0);
	*p++ = OSSL_PARAM_construct_uint(OSSL_DRBG_PARAM_RESEED_REQUESTS, &requests);
	*p++ = OSSL_PARAM_construct_time_t(OSSL_DRBG_PARAM_RESEED_TIME_INTERVAL, &interval);
	*p = OSSL_PARAM_construct_end();
	return EVP_RAND_instantiate(c, 256, 0, NULL, 0, params) == 1 ? c : NULL;
}

static const struct { const char *name, *drbg, *cipher, *digest; } drbgs[] = {
	{"CTR AES-256", "CTR-DRBG", "AES-256-CTR", NULL},
	{"Hash SHA-256", "HASH-DRBG", NULL, "SHA256"},
	{"Hash SHA-512", "HASH-DRBG", NULL, "SHA512"},
	{"HMAC SHA-256", "HMAC-DRBG", NULL, "SHA256"},
	{"HMAC SHA-512", "HMAC-DRBG", NULL, "SHA512"},
};

#define DRBGS (sizeof drbgs / sizeof *drbgs)

int main(int argc, char **argv)
{
	struct subject subjects[1 + DRBGS] = {{"RAND_bytes", rand_bytes, NULL}};
	size_t count = 1;
	if (argc == 2 && !strcmp(argv[1], "-version")) {
		printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "-first")) {
		unsigned char p[32];
		double start = now(CLOCK_MONOTONIC);
		if (RAND_bytes(p, sizeof p) != 1)
			return 1;
		printf("%.9g\n", now(CLOCK_MONOTONIC) - start);
		return 0;
	}
	for (size_t i = 0; i < DRBGS; i++) {
		EVP_RAND_CTX *c = new_drbg(drbgs[i].drbg, drbgs[i].cipher, drbgs[i].digest);
		if (!c) {
			fprintf(stderr, "openssl.c: no %s\n", drbgs[i].name);
			continue;
		}
		subjects[count++] = (struct subject){drbgs[i].name, generate, c};
	}
	return serve(subjects, count);
}
