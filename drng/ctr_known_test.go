package drng

// A ctrCall is one call of Seed or Generate. All values are in hexadecimal.
type ctrCall struct {
	op               ctrOp
	seed, additional string
	n                int    // bytes to generate if their values are not published
	out              string // or what they are
	key, v           string // the state after the call, where it is published
}

type ctrOp int

const (
	ctrSeed ctrOp = iota
	ctrGenerate
)

// ctrKnownAnswers are examples that NIST published, as calls of Seed and Generate:
// a request with prediction resistance is a Seed with its additional input and a
// Generate without (SP 800-90A Rev. 1, Section 9.3.1, Step 7).
//
// CAVP 14.3: the files of drbgtestvectors.zip, csrc.nist.gov, Cryptographic
// Algorithm Validation Program: of each kind the first case. The states are those of
// the files with intermediate values.
//
// ACVP: ctrDRBG.bz2 of github.com/geomys/acvp-testdata, commit
// 207099bc07124e8173284fe8e2f0f1177b0c68d9.
//
// NIST examples: csrc.nist.gov, Cryptographic Standards and Guidelines, Examples
// with Intermediate Values, CTR_DRBG.
//
// Works of NIST are in the public domain in the United States.
var ctrKnownAnswers = []struct {
	name   string
	config CTRConfig
	calls  []ctrCall
}{
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-128 use df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 128},
		calls: []ctrCall{
			{op: ctrSeed, seed: "890eb067acf7382eff80b0c73bc872c6aad471ef3ef1d203"},
			{op: ctrGenerate, n: 64},
			{op: ctrGenerate, out: "a5514ed7095f64f3d0d3a5760394ab42062f373a25072a6ea6bcfd8489e94af6cf18659fea22ed1ca0a9e33f718b115ee536b12809c31b72b08ddd8be1910fa3"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-128 use df, personalization 128, additional 128, COUNT = 0",
		config: CTRConfig{KeyBits: 128},
		calls: []ctrCall{
			{op: ctrSeed, seed: "cae48dd80d298103ef1ec0bf1bb96270d827f91613e0b47f", additional: "cc928f3d2df31a29f4e444f3df08be21"},
			{op: ctrGenerate, additional: "7eaa1bbec79393a7f4a8227b691ecb68", n: 64},
			{op: ctrGenerate, additional: "6869c6c7b9e6653b3977f0789e94478a", out: "920132cd284695b868b5bc4b703afea4d996624a8f57e9fbf5e793b509cb15b4beaf702dac28712d249ae75090a91fd35775294bf24ddebfd24e45d13f4a1748"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-192 use df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 192},
		calls: []ctrCall{
			{op: ctrSeed, seed: "c35c2fa2a89d52a11fa32aa96c95b8f1c9a8f9cb245a8b40f3a6e5a7fbd9d3c68e277ba9ac9bbb00"},
			{op: ctrGenerate, n: 64},
			{op: ctrGenerate, out: "8c2e72abfd9bb8284db79e17a43a3146cd7694e35249fc3383914a7117f41368e6d4f148ff49bf29076b5015c59f457945662e3d3503843f4aa5a3df9a9df10d"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-192 use df, personalization 256, additional 256, COUNT = 0",
		config: CTRConfig{KeyBits: 192},
		calls: []ctrCall{
			{op: ctrSeed, seed: "d5973b5c9105cbf67e978f419924790d83023e86a8b5dd6b358af1ae9a842c6e03f88dfa2a311161", additional: "294d7d35f53a5d7ddef5ca4100f3547112c93e41251257dc0a19b6dfaa4a60a4"},
			{op: ctrGenerate, additional: "0805f31446c51d5d9d27b7cbb16e840b9e8b0dfe6fb4b69792bc8de9e3bd6d92", n: 64},
			{op: ctrGenerate, additional: "934d7fd5e716376342607123ea113d6b20170ccda53fc86541407a156cd94904", out: "cb95459d1735cb9bce8a75bf097a099c9f7c70bad43e3e431f2d3829d7ca9d0617b9a99337af5248d4741cb5a60dff6f8c5221e23f3cb524a94ffdd2190bfb3b"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-128 no df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 128, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "ce50f33da5d4c1d3d4004eb35244b7f2cd7f2e5076fbf6780a7ff634b249a5fc"},
			{op: ctrGenerate, n: 64},
			{op: ctrGenerate, out: "6545c0529d372443b392ceb3ae3a99a30f963eaf313280f1d1a1e87f9db373d361e75d18018266499cccd64d9bbb8de0185f213383080faddec46bae1f784e5a"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-128 no df, personalization 256, additional 256, COUNT = 0",
		config: CTRConfig{KeyBits: 128, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "50b96542a1f2b8b05074051fe8fb0e45adbbd5560e3594e12d485fe1bfcb741f", additional: "820c3030f97b3ead81a93b88b871937278fd3d711d2085d9280cba394673b17e"},
			{op: ctrGenerate, additional: "1f1632058806d6d8e231288f3b15a3c324e90ccef4891bd595f09c3e80e27469", n: 64},
			{op: ctrGenerate, additional: "5cadc8bfd86d2a5d44f921f64c7d153001b9bdd7caa6618639b948ebfad5cb8a", out: "02b76a66f103e98d450e25e09c35337747d987471d2b3d81e03be24c7e985417a32acd72bc0a6eddd9871410dacb921c659249b4e2b368c4ac8580fb5db559bc"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-192 no df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 192, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "f1ef7eb311c850e189be229df7e6d68f1795aa8e21d93504e75abe78f041395873540386812a9a2a"},
			{op: ctrGenerate, n: 64},
			{op: ctrGenerate, out: "6bb0aa5b4b97ee83765736ad0e9068dfef0ccfc93b71c1d3425302ef7ba4635ffc09981d262177e208a7ec90a557b6d76112d56c40893892c3034835036d7a69"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-192 no df, personalization 320, additional 320, COUNT = 0",
		config: CTRConfig{KeyBits: 192, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "8db47ca284294daeb303e6459422e32577ca539c00fead8839d42946bad8eb30e489c6d858763a28", additional: "c2491a6ce1ef9bd13eb66a86c0f5be3d2f3239bf7f713e830e8ae8907a2084f873ed3f5eddf5b569"},
			{op: ctrGenerate, additional: "e9a3f24180345a0c0680aacdb89ce7cf841c7ad547ef92dad54f8262445e2f0c54c8f8e42350f79c", n: 64},
			{op: ctrGenerate, additional: "e2427b93738424c0fce14cb6c5f1d6b6a0532787157b6d907bc55d1c9a670494776212a643a9fb2c", out: "494b1957ab382b382054f54bb62f0b5b464afb3b18492c60809c26e86e45b6b9fa44524dd89ecdca99c60e68ed107ff336be1591cadd6fd7e35f742611809f2e"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-256 use df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "36401940fa8b1fba91a1661f211d78a0b9389a74e5bccfece8d766af1a6d3b14496f25b0f1301b4f501be30380a137eb", key: "3363d9000e6db47c16d3fc65f2872c08a35f99b2d174afa537a66ec153052d98", v: "9ee8d2e9c618ccbb8e66b5eb5333dce1"},
			{op: ctrGenerate, n: 64, key: "b1dff09c816af6d4b2111fe63c4507cb196154f8c59957a94a2b641a7c16cc01", v: "69eec01b2dd4ff3aab5fac9467f54485"},
			{op: ctrGenerate, out: "5862eb38bd558dd978a696e6df164782ddd887e7e9a6c9f3f1fbafb78941b535a64912dfd224c6dc7454e5250b3d97165e16260c2faf1cc7735cb75fb4f07e1d", key: "33a1f160b0bde1dd55fc314c3d1620c0581ace8b32f062fb1ed54cdecdc17694", v: "f537c07f36573a26b3f55c8b9f7246d1"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-256 use df, personalization 256, additional 256, COUNT = 0",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "87b56e964eba227154724bb9484b812d3e2c0c43b3d17f6098d9526e16e6d0ef9bea6a7ff2358df142e6c23e2157fb83", additional: "9860b432edd58d1ccbfeecbce99ffaee7d935a614860d4e965bd67041403096b", key: "0313d4fd35635c8f46adf7747c46267b8f617f9dc61cc07b68e3a7b628d406b7", v: "db03f9651b7d7d5c78ac956c4da9006a"},
			{op: ctrGenerate, additional: "99a5cc87924e8ea65a596f81fd17d63f5b4542fe6e8e1511b5d35c835dfadb0b", n: 64, key: "fae94976f1e438a714c73ed0a4ebe12999024b25295d13020dac58341cad12de", v: "fb04d990029d6c6c72a183ea8bd9e8dc"},
			{op: ctrGenerate, additional: "9a8dec54734a34582a2332f3452e82313524c3e0dfb485faeac6ca5fc0ff504d", out: "dbc6a2330b19b5cddd8cd6392ec1fb508678c805e87d1aca07ac265007632503044a00610c79d98375afa7ab4cca1a90989cbfe7c674af5d823ced11c47e9af6", key: "4184c1d626049e54395ce0c753ddacab48fd60a443d89f802c41fbd83429b5da", v: "d1580225bd85f5f7b3c6a27f1e545d79"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-256 no df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "df5d73faa468649edda33b5cca79b0b05600419ccb7a879ddfec9db32ee494e5531b51de16a30f769262474c73bec010", key: "8c52f901632d522774c08fad0eb2c33b98a701a1861aecf3d8a25860941709fd", v: "217b52142105250243c0b2c206b8f59e"},
			{op: ctrGenerate, n: 64, key: "72f4af5c93258eb3eeec8c0cacea6c1d1978a4fad44312725f1ac43b167f2d52", v: "e86f6d07dfb551cebad80e6bf6830ac4"},
			{op: ctrGenerate, out: "d1c07cd95af8a7f11012c84ce48bb8cb87189e99d40fccb1771c619bdf82ab2280b1dc2f2581f39164f7ac0c510494b3a43c41b7db17514c87b107ae793e01c5", key: "1a1c6e5f1cccc6974436e5fd3f015bc8e9dc0f90053b73e3c19d4dfd66d1b85a", v: "53c78ac61a0bac9d7d2e92b1e73e3392"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_no_reseed, AES-256 no df, personalization 384, additional 384, COUNT = 0",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "0dd4d80062ecc0f359efbe7723020be9b88b550fe74088094069e74428395856f63eed4f5b0e7d1e006f0eaff74f638c", additional: "d2aa2ccd4bc6537e51f6550ab6d6294547bef3e971a7f128e4436f957de9982c93ee22110b0e40ab33a7d3dfa22f599d", key: "8c717e36ee6fa534a17a5f8c511f51273192e6dbdb87124fa3644d02ef235d62", v: "17b0cc9467a617c1e26a28fe20660f9f"},
			{op: ctrGenerate, additional: "0b081bab6c74d86b4a010e2ded99d14e0c9838f7c3d69afd64f1b66377d95cdcb7f6ec5358e3516034c3339ced7e1638", n: 64, key: "4a25ba9d8aff2d82a44346cc858c3c9b69f85aae6b46fa6210b25895aaa37ed2", v: "efdfae717be1de26a1a75e8608233b76"},
			{op: ctrGenerate, additional: "ca818f938ae0c7f4f507e4cfec10e7baf51fe34b89a502f754d2d2be7395120fe1fb013c67ac2500b3d17b735da09a6e", out: "6808268b13e236f642c06deba2494496e7003c937ebf6f7cb7c92104ea090f18484aa075560d7844a06eb559948c93b26ae40f2db98ecb53ad593eb4c78f82b1", key: "3cb6d1f7616cf7059fc5eba29351747cbf2be6b277e18cf20b2392fca9e9ce55", v: "12481f620aef9d643da2e578b6d7f6b9"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_false, AES-256 use df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "2d4c9f46b981c6a0b2b5d8c69391e569ff13851437ebc0fc00d616340252fed50bf814b411f65ec4866be1abb59d3c32", key: "d64160c3e965f377caef625c7eb21dd37728bcf84bfc23b92e267611feaffda8", v: "446ce986bd722ad1a514ebb7d274ec99"},
			{op: ctrSeed, seed: "93500fae4fa32b86033b7a7bac9d37e710dcc67ca266bc8607d665937766d207", key: "50d9feb33fc77303b83232b7deded04f1bfa4afaa937712f88458d6b64c046c5", v: "0b8e38a54036f1ba80a2880d4f17bb09"},
			{op: ctrGenerate, n: 64, key: "a2203a6f082ecdc0cd38f0b3b19f1a8cd6a5f110a13bb488c1e70f9f95a93024", v: "84b0a849c5459e27fe7f8c5db26fa13d"},
			{op: ctrGenerate, out: "322dd28670e75c0ea638f3cb68d6a9d6e50ddfd052b772a7b1d78263a7b8978b6740c2b65a9550c3a76325866fa97e16d74006bc96f26249b9f0a90d076f08e5", key: "de721178a341a85eb54a2f7e2b3cd4bcc201417e739eb183fa958f9af8535b2c", v: "de67dd5f9a431fc46dd1825cd1a2bff3"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_false, AES-256 use df, personalization 256, additional 256, COUNT = 0",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "174b46250051a9e3d80c56ae7163dafe7e54481a56cafd3b8625f99bbb29c44298ffd99c466e0e94a45da7e0e82dbc6b", additional: "7095268e99938b3e042734b9176c9aa051f00a5f8d2a89ada214b89beef18ebf", key: "2eef0ab3e7ee8e82a549eae68272a379af025ffbd3d0a62f1668ab3f6b2f8e07", v: "8bdcbbb8ed356c02e2dc805f461dbcf4"},
			{op: ctrSeed, seed: "e88be1967c5503f65d23867bbc891bd679db03b4878663f6c877592df25f0d9a", additional: "cdf6ad549e45b6aa5cd67d024931c33cd133d52d5ae500c3015020beb30da063", key: "695ec793a3c19e53e4cba9b2a4cd89320b6762273c8bef6f03ffdaa970df34da", v: "ea405f98e64399a587c560c3fb8ce8fa"},
			{op: ctrGenerate, additional: "c7228e90c62f896a09e11684530102f926ec90a3255f6c21b857883c75800143", n: 64, key: "6306bce4ccea9e9233662634f374b68adfde2394ddd8fb77e452293323d566dc", v: "429cb6dcefcf43e291e9672156788f50"},
			{op: ctrGenerate, additional: "76a94f224178fe4cbf9e2b8acc53c9dc3e50bb613aac8936601453cda3293b17", out: "1a6d8dbd642076d13916e5e23038b60b26061f13dd4e006277e0268698ffb2c87e453bae1251631ac90c701a9849d933995e8b0221fe9aca1985c546c2079027", key: "4e558b0df4e7427d7fdc8b8cef4c19021a831506d93c92f7394349d6081673c8", v: "128cd27a8721f1e7dbb1f982bc6146e5"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_false, AES-256 no df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "e4bc23c5089a19d86f4119cb3fa08c0a4991e0a1def17e101e4c14d9c323460a7c2fb58e0b086c6c57b55f56cae25bad", key: "b7b3a93ecfdf2f61c622ad3afb6bff818736a09c9391157e1902d10a79d0db12", v: "0e4fb6443cae46188617aad8bfe46e23"},
			{op: ctrSeed, seed: "fd85a836bba85019881e8c6bad23c9061adc75477659acaea8e4a01dfe07a1832dad1c136f59d70f8653a5dc118663d6", key: "d230044c2594510d195ffe9923de8848bdbd19f24d0e7558b28e55b2d4de7841", v: "e18637ff12f514f37adc2013a40f38c1"},
			{op: ctrGenerate, n: 64, key: "ec871bb7a4f2c45dccdd0e514a21628959aa21e9643934f619b2709b3e38697c", v: "d8bbe7bfc60bfb710f39acd1088c9f41"},
			{op: ctrGenerate, out: "b2cb8905c05e5950ca31895096be29ea3d5a3b82b269495554eb80fe07de43e193b9e7c3ece73b80e062b1c1f68202fbb1c52a040ea2478864295282234aaada", key: "e728308a0e92cbacb269d12246d8e2d24cf5fcc678aa09564132e4972c456eda", v: "c95f38da34ecb65ebf8b34c32bc215a5"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_false, AES-256 no df, personalization 384, additional 384, COUNT = 0",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "ae7ebe062971f5eb32e5b21444750785de816595ad2cbe80a209c8f8ab04b5468166de8c6ae522d8f10b56386a3b424f", additional: "55860dae57fcac297087c137efb796878a75868f6e7681114e9b73ed0c67e3c62bfc9f5d77e8caa59bcdb223f4ffd247", key: "a8f73953b9c86f7beb01c7d26f09e2899a53a3278e3a54ffebdc7ec61d90cb98", v: "d8fa421b2aabc209bb641195ebc2a586"},
			{op: ctrSeed, seed: "a42407931bfeca70e6ee5dd197021a129525051c07468e8b25587c5ad50abe9204e882fe847b8fd47cf7b4360e5aa034", additional: "ee4c88d1eb05f4853663eada501d2fc4b4984b283a88db579af2113031e03d9bc570de943dd168918f3ba8065581fea7", key: "613f72901695bb017fa0d6855ebdb86bcb1724bd57ffb3f648eca5bd2538ae1e", v: "89dd083825fef802e551ff98d7e41907"},
			{op: ctrGenerate, additional: "4b4b03ef19b0f259dca2b3ee3ae4cd86c3895a784b3d8eee043a2003c08289f8fffdad141e6b1ab2174d8d5d79c1e581", n: 64, key: "ca286da811d8a5c2c8597bdb13094aab9be5a96f5f62c21c2d337ec049db71f0", v: "34398428ef716acfadea9061fd9367aa"},
			{op: ctrGenerate, additional: "3062b33f116b46e20fe3c354726ae9b2a3a4c51922c8107863cb86f1f0bdad7554075659d91c371e2b11b1e8106a1ed5", out: "0d270518baeafac160ff1cb28c11ef68712c764c0c01674e6c9ca2cc9c7e0e8accfd3c753635ee070081eee7628af6187fbc2854b3c204461a796cf3f3fcb092", key: "572b7b9294e434cce405f0fdbf8e23ca831212a5673b45aadf4324a1321da19f", v: "dc7168b5eb045ce1668176bd4ffe7309"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_true, AES-256 use df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "16a1f035388cd8d956026e3b0117cb524dd3eb563f9a7720bb7dcb0fc6fbe743a2d015f22d854e29de278d910c573de5", key: "09ba6933504c1f094603e82c0ed253470435d47cc1ed7a3c0417e2823de13b2c", v: "4463a7a8057abb5f60679b1aba4260d4"},
			{op: ctrSeed, seed: "cf140bcd4d7130e7e3ea14046c56442b57c43b34ad219553e7105c18f6e561af"},
			{op: ctrGenerate, n: 64, key: "801799ca255eb57cd26914616d107489984a6a70ca51d2cda273ec1edb61a2a7", v: "ef3186084c04e02c960c824408eda333"},
			{op: ctrSeed, seed: "e27c9f0be60d82d6cc474efb7fc737b16a6895d9a3a45b971d19b743c1a4ac8f"},
			{op: ctrGenerate, out: "b4e8395bcb7503410a94633f70e9904a5b30e62c35bc6dd2a03496c4a49932e184fbffdbcf1de1c72c50d36dc2ae8f04f40f96aae159c3fb816ca16df99b6c3e", key: "4bc65cae1d848239ef32c88ec7c2c7e2904a5ce3c215f7bb068d36a3fb821e6b", v: "861cfac2b659eb8644cef719fe1d4984"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_true, AES-256 use df, personalization 256, additional 256, COUNT = 0",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "534346a3e0baa65d7a51871b6d633a6f1efa9ff55dfde3212c95029adf2387d90cbe99821509975d824fd826c47d2abc", additional: "020d7340569e68d992e6e8ddfbead9f993c74d971e4339fe91074f87e9d7d777", key: "d317407cae504349eb760d4d8aa1198f5bca7206638a0b74d770e2ad8fc6895f", v: "3d50bda6ea4640fbeb37bf22ef57a3e6"},
			{op: ctrSeed, seed: "286091709d2e91bfef6654b8449d5e5564b6c2fe1f3e4e6e59fe776461bfb0dc", additional: "f41040eff2a7010287c2a76d7867a66e61299be1e1247a6b22a64b829ada8624"},
			{op: ctrGenerate, n: 64, key: "acfdc0b12c1fa76d3133740138c487e8c784e4b76d5b4403436b8b8429f396e0", v: "20ea2facd424be41adb8b1e8453c9b42"},
			{op: ctrSeed, seed: "e68e127b2e5b9d6539c26f7e78bec13314e37febdb7105d1d65f0bde23c87d38", additional: "94efe68e2185646a17bb8a83268142a7b7a02786c1ee90ab8f7399ccf543de26"},
			{op: ctrGenerate, out: "da6389d151e3b2b332fbcc02b2cc5af4f69835e9fbbe19130f91cbf30a3c24580ebfb4311b3487e9d6a61de9dc2842c107152158b0e75a932c38e5b8ddff10e6", key: "a95fa407c3b00d3bfec316c3b9ebcce45198cd3e1a03e66faccdfacaa450e27a", v: "b55603ed8cc3bf020de778b1532dbfdd"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_true, AES-256 no df, personalization 0, additional 0, COUNT = 0",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "faf346c9c8afbc5ab6e33ce492247fac6db9a7ba4297557f587a42563ddf56c90e41c6afb56233815b74e091bac7d8e5", key: "a9fccc320fea8ae31f80881556ef0c27a31ee7870ff73e115f348785872ccbd1", v: "7c21c56582c419f58ad6151fcfc1ed6b"},
			{op: ctrSeed, seed: "dfc111252d7146922713720ae1e348a07ae403b5238fefb4e8592f6f6cc4a61c94828db84c6faecd1502261008011f2c"},
			{op: ctrGenerate, n: 64, key: "59ab2aa229c17b2ccf5b633ad905aa4396d717cd7109c4396176b445e23b54b0", v: "9ac50e38805dab58baf6429436e00b39"},
			{op: ctrSeed, seed: "4528bac5b99c772347d44f4ece79bc811ca8ebea9483fa5f5040c02f77069dad1aec7adaa8a9a6a9ddabab045d328a90"},
			{op: ctrGenerate, out: "bc013dc891db12c34ad11944805bf13dfd67ff2c23176d83f5b396b69e400042252e11816c3095421137181a5d0ee37c83a339c58d080946ca90aa437d50d9cf", key: "48f4632bbc79c4bde48a8588a5395afcdccc84f2a3b25b8be2715cd8f9dd8a6b", v: "24f485205e3baf899b8c226c2ffc73ce"},
		},
	},
	{
		name:   "CAVP 14.3 drbgvectors_pr_true, AES-256 no df, personalization 384, additional 384, COUNT = 0",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "c54805274bde00aa5289e0513579019707666d2fa7a1c8908865891c87c0c652335a4d3cc415bc30742b164647f8820f", additional: "d63fb5afa2101fa4b8a6c3b89d9c250ac728fc1ddad0e7585b5d54728ed20c2f940e89155596e3b963635b6d6088164b", key: "40783a732e8b29b7434c97186c2e57160ee9d10f301144a6d47618bdb3e15765", v: "d534c7e3a62575fdc6eab8a55276a1ca"},
			{op: ctrSeed, seed: "b2ad31d1f20dcf30dd526ec9156c07f270216bdb59197325bab180675929888ab699c54fb21819b7d921d6346bff2f7f", additional: "744bfae3c23a5cc9a3b373b6c50795068d35eb8a339746ac810d16f864e880061082edf9d2687c211960aa83400f85f9"},
			{op: ctrGenerate, n: 64, key: "8664ee28c40e116e72a43ae037b313d563a5dd87ff2eac6ba3c6bd47519f28d2", v: "711df85543236d310ead4d7bfba52958"},
			{op: ctrSeed, seed: "eca449048d26fd38f8ca435237dce66eadec7069ee5dd0b70084b819a711c0820a7556bbd0ae20f06e5169278b593b71", additional: "ad55c682962aa4fe9ebc227c9402e79b0aa7874844d33eaee7e2d15baf81d9d33936e4d93f28ad109657b512aee115a5"},
			{op: ctrGenerate, out: "f08fdfc1775b6feb5a4177110bf29d7c3ab715dfdc4b27200359288c0624bd5c1028acc9914d88a82b09f5eaafdc3bca8547b98481df39b86504314221cbdc3c", key: "5efaf8d2d42fd0fa4c299f477f9dd1614dbdefadbf48f9ea6bcee36042c459c4", v: "fd58665119bec5bdcf29aa8986804a4f"},
		},
	},
	{
		name:   "ACVP ctrDRBG, tcId 11",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "7351765dcc1b60e36ca50ec6a99a4d2e72aca7adeeeb8823e8b131420973389b2dc00f65705a65ab6bfa3a3e1fa56fa2"},
			{op: ctrSeed, seed: "f6ef9e091eae78bbeae61de47ca65d136e171d70ff56666be817eb8fad7dd81d1f9951ab47fc1581a1961ece561da024", additional: "24227e32aff26d92e42ca7b1c4be5f76cddef93d16f292f2ff3b1dab4d348dfe633197c868eb348938cb2e42706bab40"},
			{op: ctrGenerate, additional: "dea87d2945549b14d46362d9f3cfce7073cc8b2a3dbb4f6056b16dd868f11d5690fab43caf7d6c70234ba16a7c204a46", n: 16},
			{op: ctrGenerate, additional: "06ee48470f59f682b6e6b732c7cbdda6e32d6b183c541cbaf3b707e46d3f099fe4f90de61a1bc999d94bb98c15596272", out: "e45a152cbf6fa264dcbfd209baa176c0"},
		},
	},
	{
		name:   "NIST examples, AES-256 use df, prediction resistance not requested, personalization 0, additional 384",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f202122232425262728292a2b2c2d2e2f"},
			{op: ctrGenerate, additional: "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f", out: "498d25f7124327cdfebaf7f01559aff84813f60974ba5bd896c0cd5f88ba5e32"},
			{op: ctrGenerate, additional: "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf", out: "81daaf9800c34ff0a104e51d87e36f5b17eb14b9abc5064cadda976ec4f77d34"},
		},
	},
	{
		name:   "NIST examples, AES-256 use df, prediction resistance requested, personalization 384, additional 384",
		config: CTRConfig{KeyBits: 256},
		calls: []ctrCall{
			{op: ctrSeed, seed: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f202122232425262728292a2b2c2d2e2f", additional: "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f"},
			{op: ctrSeed, seed: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf", additional: "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f"},
			{op: ctrGenerate, out: "eae6bce781807e524d26605ea198077932d01eeb445b9ac6c5d99c101d29f46e"},
			{op: ctrSeed, seed: "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef", additional: "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"},
			{op: ctrGenerate, out: "738e99c95af59519aad37ff3d5180986adebab6e95836725097e50a8d1d0bd28"},
		},
	},
	{
		name:   "NIST examples, AES-256 no df, prediction resistance not requested, personalization 384, additional 384",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f", additional: "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f"},
			{op: ctrGenerate, additional: "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f", out: "35ce8218c03b7592faf29d19722739836ceef0666e058abf8b837ab5e5e743d9"},
			{op: ctrGenerate, additional: "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf", out: "836ca0f775468b8aabcd3129fe2a2227b2251dcc22a0bfa0175eab7ca29892ba"},
		},
	},
	{
		name:   "NIST examples, AES-256 no df, prediction resistance requested, personalization 384, additional 0",
		config: CTRConfig{KeyBits: 256, NoDF: true},
		calls: []ctrCall{
			{op: ctrSeed, seed: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f", additional: "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f"},
			{op: ctrSeed, seed: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf"},
			{op: ctrGenerate, out: "1cd51d0aa03aa992782b53b596297930dd0541dc3b05c9ad35998e53db960664"},
			{op: ctrSeed, seed: "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"},
			{op: ctrGenerate, out: "3a4e58fc06dd9aabb85480e7896af8820b43f969fdc38628eba7f06cd9a063d8"},
		},
	},
}
