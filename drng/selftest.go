package drng

import (
	"crypto"
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/internal/selftest"
)

// ready returns an error that wraps selftest.ErrFailed if a self-test has failed in
// this process. Before the first state of the mechanism of that name comes about in
// the process, it runs the test of that mechanism.
func ready(name string, instantiated bool) error {
	if instantiated {
		return failed(name)
	}
	for _, t := range selftest.All() {
		if t.Name() != name {
			continue
		}
		if t.Once() != nil {
			return failure(name)
		}
		return nil
	}
	// Only a zero value, which has no name, gets here.
	return fmt.Errorf("drng: mechanism %q has no self-test: it was not made by the function for it", name)
}

// failed returns an error that wraps selftest.ErrFailed if a self-test, of whatever
// algorithm, has failed in this process. It is one load.
func failed(name string) error {
	if selftest.Failed() == nil {
		return nil
	}
	return failure(name)
}

// failure returns the failure of this process as an error of the named mechanism.
func failure(name string) error {
	return fmt.Errorf("drng: %s: %w", name, selftest.Failed())
}

// vanished returns the error of a call during which the state of the named mechanism
// vanished: the kernel dropped the memory. States that vanished between two calls, also
// since this is a child process, which has none of its parent's, are found by the method
// alive of the mechanisms.
func vanished(name string) error {
	return fmt.Errorf("%w: %s: the memory of the state was dropped", ErrNotSeeded, name)
}

// A testable is a mechanism that can be seeded without a self-test before it.
type testable interface {
	DRNG
	seed(seed, additional []byte) error
}

// knownAnswer computes what a self-test compares: SP 800-90A Rev. 1, Sections 11.3.2
// to 11.3.5; FIPS 140-3 Implementation Guidance, 10.3.A, Resolution 7. It makes each
// call of the life of d once, with all inputs that there are, and returns the output
// of n bytes of the second of two requests.
//
// The input is the first seed (entropy input ‖ nonce), of the given number of bytes,
// and then in equal parts: personalization string, entropy input and additional
// input of a reseed, and the additional inputs of the two requests.
func knownAnswer(d testable, input []byte, seed, n int) ([]byte, error) {
	defer d.Clear()
	part := (len(input) - seed) / 5
	next := func(n int) []byte {
		p := input[:n]
		input = input[n:]
		return p
	}
	out := make([]byte, n)
	if err := d.seed(next(seed), next(part)); err != nil {
		return nil, err
	}
	if err := d.seed(next(part), next(part)); err != nil {
		return nil, err
	}
	for range 2 {
		if err := d.Generate(out, next(part)); err != nil {
			return nil, err
		}
	}
	d.Clear()
	if err := d.Generate(nil, nil); !errors.Is(err, ErrNotSeeded) {
		return nil, errors.New("there is a state after Clear")
	}
	return out, nil
}

// The functions that the self-tests compute, with outputs of n bytes.

func chaCha20Answer(n int) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		return knownAnswer(NewChaCha20(), input, 48, n)
	}
}

func ctrAnswer(config CTRConfig, n int) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		c, err := NewCTR(config)
		if err != nil {
			return nil, err
		}
		seed := c.keySize * 3 / 2
		if config.NoDF {
			seed = c.seedlen()
		}
		return knownAnswer(c, input, seed, n)
	}
}

func hashAnswer(h crypto.Hash, n int) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		d, err := NewHash(h)
		if err != nil {
			return nil, err
		}
		return knownAnswer(d, input, hashMinInstantiate, n)
	}
}

func hmacAnswer(h crypto.Hash, n int) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		d, err := NewHMAC(h)
		if err != nil {
			return nil, err
		}
		return knownAnswer(d, input, hashMinInstantiate, n)
	}
}

func xdrbgAnswer(n int) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		return knownAnswer(NewXDRBG(), input, 48, n)
	}
}

// counting is the input where no published example has a reseed, a personalization
// string and additional input: bytes that count. The answers to it are those of the
// models in the tests of this package, which are independent implementations.
const counting = "" +
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f" +
	"303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f" +
	"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f" +
	"909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf" +
	"c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef" +
	"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

// The tests. Each has the name in the Info of its mechanism.

var _ = selftest.New("ChaCha20",
	counting[:2*208],
	"d17347397547df14c43f26e4292aa96ac7b0431014f59f69351c38b7899b7bb78fc8fb7c6fc2ad8137cd903e882551c0"+
		"53b644f6a90c00919ead5d67dfa97930b0b734bf1795e2cd996b91103666dba77e3a7f7d7015f7feb33c3b1a1bbfe148"+
		"9d0d5fc2",
	chaCha20Answer(100))

var _ = selftest.New("CTR_DRBG AES-128",
	counting[:2*104],
	"637a9f325af2caefd265a97097678b2be8488c2fe6e4026e7ea6a4b3901e036a2834e3405f4a7f876964602e319e3bb1"+
		"6842a0ca36db119c76f21e92a9740abf",
	ctrAnswer(CTRConfig{KeyBits: 128}, 64))

var _ = selftest.New("CTR_DRBG AES-192",
	counting[:2*156],
	"a95a6a536cedcd4e8b24142b8a3a53512e741144e557e8003a39ae5d37d945f87b92c25d6254377af17f4e40c7822fcc"+
		"19d24b43c2521d97cba1edbfe5c05380",
	ctrAnswer(CTRConfig{KeyBits: 192}, 64))

// CAVP 14.3, drbgvectors_pr_false, AES-256 use df, personalization 256, additional 256, COUNT = 0.
var _ = selftest.New("CTR_DRBG AES-256",
	"174b46250051a9e3d80c56ae7163dafe7e54481a56cafd3b8625f99bbb29c442"+ // entropy input
		"98ffd99c466e0e94a45da7e0e82dbc6b"+ // nonce
		"7095268e99938b3e042734b9176c9aa051f00a5f8d2a89ada214b89beef18ebf"+ // personalization string
		"e88be1967c5503f65d23867bbc891bd679db03b4878663f6c877592df25f0d9a"+ // reseed: entropy input
		"cdf6ad549e45b6aa5cd67d024931c33cd133d52d5ae500c3015020beb30da063"+ // its additional input
		"c7228e90c62f896a09e11684530102f926ec90a3255f6c21b857883c75800143"+ // first request: additional input
		"76a94f224178fe4cbf9e2b8acc53c9dc3e50bb613aac8936601453cda3293b17", // second request: additional input
	"1a6d8dbd642076d13916e5e23038b60b26061f13dd4e006277e0268698ffb2c87e453bae1251631ac90c701a9849d933"+
		"995e8b0221fe9aca1985c546c2079027",
	ctrAnswer(CTRConfig{KeyBits: 256}, 64))

var _ = selftest.New("CTR_DRBG AES-128 no df",
	counting[:2*192],
	"6f17a99895f79f877bbebc3e8ee3ab46861b8c5e6c8d23af47153c789a41b10e84f07fba4722b15f7dbbd1dc76cdc02b"+
		"e8c6f8ac5c8e027b4fc9201cc923d22f",
	ctrAnswer(CTRConfig{KeyBits: 128, NoDF: true}, 64))

var _ = selftest.New("CTR_DRBG AES-192 no df",
	counting[:2*240],
	"04d6627b223aef466ea75c0258ee6764d846e196ecb7e80a113eb8a2097d8e29101a0852914ee45c56ee28efbf0d6b2d"+
		"937f4dc94894206943e6d43a4301bbec",
	ctrAnswer(CTRConfig{KeyBits: 192, NoDF: true}, 64))

// CAVP 14.3, drbgvectors_pr_false, AES-256 no df, personalization 384, additional 384, COUNT = 0.
var _ = selftest.New("CTR_DRBG AES-256 no df",
	"ae7ebe062971f5eb32e5b21444750785de816595ad2cbe80a209c8f8ab04b5468166de8c6ae522d8f10b56386a3b424f"+ // entropy input
		"55860dae57fcac297087c137efb796878a75868f6e7681114e9b73ed0c67e3c62bfc9f5d77e8caa59bcdb223f4ffd247"+ // personalization string
		"a42407931bfeca70e6ee5dd197021a129525051c07468e8b25587c5ad50abe9204e882fe847b8fd47cf7b4360e5aa034"+ // reseed: entropy input
		"ee4c88d1eb05f4853663eada501d2fc4b4984b283a88db579af2113031e03d9bc570de943dd168918f3ba8065581fea7"+ // its additional input
		"4b4b03ef19b0f259dca2b3ee3ae4cd86c3895a784b3d8eee043a2003c08289f8fffdad141e6b1ab2174d8d5d79c1e581"+ // first request: additional input
		"3062b33f116b46e20fe3c354726ae9b2a3a4c51922c8107863cb86f1f0bdad7554075659d91c371e2b11b1e8106a1ed5", // second request: additional input
	"0d270518baeafac160ff1cb28c11ef68712c764c0c01674e6c9ca2cc9c7e0e8accfd3c753635ee070081eee7628af618"+
		"7fbc2854b3c204461a796cf3f3fcb092",
	ctrAnswer(CTRConfig{KeyBits: 256, NoDF: true}, 64))

// CAVP 14.3, drbgvectors_pr_false, SHA-256, personalization 256, additional 256, COUNT = 0.
var _ = selftest.New("Hash_DRBG SHA-256",
	"6c623aea73bc8a59e28c6cd9c7c7ec8ca2e75190bd5dcae5978cf0c199c23f4f"+ // entropy input
		"e55db067a0ed537e66886b7cda02f772"+ // nonce
		"1e59d798810083d1ff848e90b25c9927e3dfb55a0888b0339566a9f9ca7542dc"+ // personalization string
		"9ab40164744c7d00c78b4196f6f917ec33d70030a0812cd4606c5a25387568a9"+ // reseed: entropy input
		"4e8bead7cbba7a7bc9ae1e1617222c4139661347599950e7225d1e2faa5d57f5"+ // its additional input
		"dcb22a5d9f149858636f3ede2253e419816fb7b1103194451ed6a573a8fe6271"+ // first request: additional input
		"8f9d5c78cdabc32e71ac3b3c49239caddf96053250f4fd92056efbd0be487d36", // second request: additional input
	"6e98a3b1f686f6ffa79355c9d8a5ab7f93312159d52659a2298315f10007c71adabc0b5ccb4164c0949fbdb221b43acd"+
		"b62bed3099596f2d7bd5d0048173dd2360a543b234ab61a441ddb9299af84ca45c6e618fd521366dbf509d4ec06174da"+
		"924361d642b107e5564ac1b32340dd2f3158bf4c00bcb4dcf12c6d67af4b74ee",
	hashAnswer(crypto.SHA256, 128))

var _ = selftest.New("Hash_DRBG SHA-384",
	counting[:2*208],
	"b296a05c847b9b6e36c7088dfebf6719f1ea3f9a986a63f9ef7096a1455d6f3c68765e147310262e20ee8e3e35ebaa7c"+
		"b8ccfe9882c8594273ec22913720dd3bcd6418a40d6e6f162e4ed078399c5efe",
	hashAnswer(crypto.SHA384, 80))

// CAVP 14.3, drbgvectors_pr_false, SHA-512, personalization 256, additional 256, COUNT = 0.
var _ = selftest.New("Hash_DRBG SHA-512",
	"4b23595b0a3640cfabb0ec34df6a613308b0448488a5d9ff99da4278e072eb34"+ // entropy input
		"8e696bffd9ca3a71d2e2f05e600c8364"+ // nonce
		"010ba93ea68a3d4a200e5145859e299c5b5349b7645fb5bbcad687aba7d67313"+ // personalization string
		"04de4babdbe143bde99aa4452f9aa43b0a164eb927555c0496aa0fc9328a521c"+ // reseed: entropy input
		"2b0c7c3efb36b71b917a44086d168313675b426b17c5ab3d0eb6af753f6040e0"+ // its additional input
		"d0b7d1d12ab15d3bba8f4eba07fee0974838962b247be480683b8e3d4a91033a"+ // first request: additional input
		"66c78ca12e45bdca003b49cb6440b977dd85b167e7c803890ed1a73666eaa869", // second request: additional input
	"4008cbd8281dc82fd6c368f650ef2609bb771e80c63d478a77fa938248dcbb8b79e54ead0265f6ff1ebfafe4e387c6e2"+
		"7df9f03e4a5225e86a4436e56ebf03b3be2cfbcb49c89c92ec1dfa5ee445dd4f6f64e02a2423a0b18ebd02eec52f5cc2"+
		"1bc3565e796b3ded6552f1b5a574a201c3b11018222806f9618d23d77fd02db879cf87fe24ed7ba11b3b108b559633db"+
		"1f95c5121b28011aa4dd20399bd4978e1f8b8880c333a47ff1750679bf28d329347b26d347aae90ee562ae8029579cbe"+
		"0336e066d6b8ba5e0169fec804c30189a4434c1bf8a5b0a249951d3d89554da38ff0751b8b1fef9ae18a0aa2bc477736"+
		"d199a06f61d400039a4cc03869bb10ca",
	hashAnswer(crypto.SHA512, 256))

var _ = selftest.New("Hash_DRBG SHA-512/256",
	counting[:2*208],
	"b1ad62c5980b01366d7590748f9b94b9c176711abf83aad60751a80a37fc38ee1bdbb09af22df07c29b365ef42ae9760"+
		"2fa3a862a2447279f6a49f8fa59ca962c666bd6f3973e4219e28b9469e87593e",
	hashAnswer(crypto.SHA512_256, 80))

var _ = selftest.New("Hash_DRBG SHA3-256",
	counting[:2*208],
	"57b1e9839dfe3fb995c1c90a3088469f2d0d2a94dcef5e724528071cd9f4ba3aeb79ef61b0347dc8a69c13b85f6e8459"+
		"238be05076ac8b01cd06ea502ef090fa7c9bf39df44f1da97208234ce8eb4128",
	hashAnswer(crypto.SHA3_256, 80))

var _ = selftest.New("Hash_DRBG SHA3-384",
	counting[:2*208],
	"39f5c7c3936241c26e312d455ae7e781fb1d708e419fee3fe3a743ad8b3eac13b063fbe66c9aad619b41e0974298fc08"+
		"759385aaf053cdd4caf8c611d5c5aa38773b53e5ed62f2c55f26b83bff9a4247",
	hashAnswer(crypto.SHA3_384, 80))

var _ = selftest.New("Hash_DRBG SHA3-512",
	counting[:2*208],
	"3f2c77edcd228af8c849ee10d86620766d38a643a033b6653a24ece03811a8b45c0f2b474d27f8f0e6a8f65aade48fad"+
		"1cec0339ecc374d449c874ba0c43635d7908a9a7c2d5fe05e37e1e88bd09129e",
	hashAnswer(crypto.SHA3_512, 80))

// ACVP, SHA2-256, tcId 11; testdata/vectors/hmacDRBG.json tells the origin.
var _ = selftest.New("HMAC_DRBG SHA-256",
	"c8765338b63ace606342ebf209a24b505291d5347621dee68e20eaa08d4fab39"+ // entropy input
		"2640ccbdbafd48e2680bc6288f068db0"+ // nonce
		"93a687edaa263a3f892a02cea6c55968925669afd22deb694d29d3b6fd9ae1e5"+ // personalization string
		"5d6b79b39ef467c0677a1af69be18146b6cab8d3d16dbebfd4d6fd3b12da0b9f"+ // reseed: entropy input
		"46213809d35172918409c1488e757000ce6b714796e96414d89c5e688929d48e"+ // its additional input
		"dbcfc90cf5f8a4cacc14dd03429e25fc4e20e430928708e4e84e408ffe431052"+ // first request: additional input
		"1bdc5948eb3477fc7542de99e3d70352ac54773a3fa98c21bf3f6d2e3643a342", // second request: additional input
	"a5cb54f2d7fb379562b0d3af1721e6b1b10a8b6046dbb0c86330c9979ac2d955",
	hmacAnswer(crypto.SHA256, 32))

var _ = selftest.New("HMAC_DRBG SHA-384",
	counting[:2*208],
	"b5bd1a2be0f898ae0acf0212b9a65c1c905c4a52679be9e5dece5ff92b241ce97b7eda84374b28d90da16848d0f99854"+
		"739ed1dce321844298cf02162a6604a339cd4f2d4cf09e2b651a935349b328ed",
	hmacAnswer(crypto.SHA384, 80))

// CAVP 14.3, drbgvectors_pr_false, SHA-512, personalization 256, additional 256, COUNT = 0.
var _ = selftest.New("HMAC_DRBG SHA-512",
	"da740cbc36057a8e282ae717fe7dfbb245e9e5d49908a0119c5dbcf0a1f2d5ab"+ // entropy input
		"46561ff612217ba3ff91baa06d4b5440"+ // nonce
		"fc227293523ecb5b1e28c87863626627d958acc558a672b148ce19e2abd2dde4"+ // personalization string
		"1d61d4d8a41c3254b92104fd555adae0569d1835bb52657ec7fbba0fe03579c5"+ // reseed: entropy input
		"b9ed8e35ad018a375b61189c8d365b00507cb1b4510d21cac212356b5bbaa8b2"+ // its additional input
		"b7998998eaf9e5d34e64ff7f03de765b31f407899d20535573e670c1b402c26a"+ // first request: additional input
		"2089d49d63e0c4df58879d0cb1ba998e5b3d1a7786b785e7cf13ca5ea5e33cfd", // second request: additional input
	"5b70f3e4da95264233efbab155b828d4e231b67cc92757feca407cc9615a660871cb07ad1a2e9a99412feda8ee34dc9c"+
		"57fa08d3f8225b30d29887d20907d12330fffd14d1697ba0756d37491b0a8814106e46c8677d49d9157109c402ad0c24"+
		"7a2f50cd5d99e538c850b906937a05dbb8888d984bc77f6ca00b0e3bc97b16d6d25814a54aa12143afddd8b226369056"+
		"5d545f4137e593bb3ca88a37b0aadf79726b95c61906257e6dc47acd5b6b7e4b534243b13c16ad5a0a1163c0099fce43"+
		"f428cd27c3e6463cf5e9a9621f4b3d0b3d4654316f4707675df39278d5783823049477dcce8c57fdbd576711c91301e9"+
		"bd6bb0d3e72dc46d480ed8f61fd63811",
	hmacAnswer(crypto.SHA512, 256))

var _ = selftest.New("HMAC_DRBG SHA-512/256",
	counting[:2*208],
	"ee830ff4c83f86874498957730f1b0c8224050282c7230c383cacb3185ecb66882b8ad0573ab395cef4a296c1b99f9d0"+
		"d85d3901f63743c83694fed1b77f64402bbea819e5c70ca5d2fd66336dca6c75",
	hmacAnswer(crypto.SHA512_256, 80))

var _ = selftest.New("HMAC_DRBG SHA3-256",
	counting[:2*208],
	"690f6b6c45abc00c5fa973c5d80f864756076cf604d4438c96ac4d51fd7f50796c3a651174d165cc628909bf1181ec2c"+
		"16a73338c11e5e9fe43745b998912cba3cc8e57ff39bfb7abd083478118451f9",
	hmacAnswer(crypto.SHA3_256, 80))

var _ = selftest.New("HMAC_DRBG SHA3-384",
	counting[:2*208],
	"fc406aad0a556ca25e2e0df6eda0f0cfa63844d50773ef92dcf0da809570856fc76d739133900c4390ed6b7cf9e8c896"+
		"5779a9a1955967a1c01a438833bb9eee93d26563c1c7d577a8d788af2c3163bd",
	hmacAnswer(crypto.SHA3_384, 80))

var _ = selftest.New("HMAC_DRBG SHA3-512",
	counting[:2*208],
	"a0a7c2899e640ffabe8a6c803ef9111d0338b7c9df08092c73ac254abe0ab0947d7420ab37b9295d774df672a222b6ed"+
		"ebfcce4fd0a02a6d9951655caad8529aad4015f6560ed7899d564cb1beddca7a",
	hmacAnswer(crypto.SHA3_512, 80))

var _ = selftest.New("XDRBG-256",
	counting[:2*208],
	"1805b60fad62556d4f1d6b236b723cf72156bd820f5842a0bddf338526c4afe3d900c0c2a61db4653ea16655f9da09c2"+
		"fb38ded29ea5c94694ab5e26c950f312f18e50f1192e35de9f0fe9019d3c0e754d6699a1dc5822baf867af6862f18a6e"+
		"56643e45670670afaf9cd181206b6fd398da7caeb3f319711a75bd6e01aa4cbd9c6e1195807f5f3198bc1d47fbad2275"+
		"30ef51a9d97298d741138fe209ca3147540cf118bc7f6c2acc4b6a20b0bd6c609797f2afb94273cf8ec62af7238a82d4"+
		"8a308f36bd247db2b3bfe7e741d90e876a4b51054a102a5fa125ae797f53d7d755a5558aff4118e8ac80490b82cda9e7"+
		"51afab945044f7977ab45001b18b54e6db8f3678deaa5aec1d154e5845be950b083257f84b613fde95a61a65933a91e3"+
		"1ea48b2222215f01fea17e563e937a3f86dff1668150c170f773015e7147ee0a1f98ef06bfdb83e2ba0ecb298d07f89b"+
		"140530c8d06bed921e",
	xdrbgAnswer(345))
