package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

// Known answers of Monte Carlo tests: the seed, and results by their number from 0.
// The standard version is the one of CAVP: SHA*Monte.rsp (CAVS 11.1) and
// SHA3_*Monte.rsp (CAVS 19.0) of NIST's byte-oriented test vectors. The alternate one
// is from usnistgov/ACVP-Server, gen-val/json-files: SHA2-256-1.0, commit
// 15c0f3deeefbfa8cb6cd32a99e1ca3b738c66bf0, test 513, and SHA3-256-2.0, commit
// 7e77916439a5bc607c7808903abeae239e40bb7f, test 121. Commits of the latter before that
// one hold answers of the standard version under the name of the alternate one.
func TestMonteCarlo(t *testing.T) {
	for _, v := range []struct {
		algorithm, version, seed string
		results                  map[int]string
	}{
		{"SHA2-256", "standard", "6d1e72ad03ddeb5de891e572e2396f8da015d899ef0e79503152d6010a3fe691", map[int]string{
			0:  "e93c330ae5447738c8aa85d71a6c80f2a58381d05872d26bdd39f1fcd4f2b788",
			1:  "2e78f8c8772ea7c9331d41ed3f9cdf27d8f514a99342ee766ee3b8b0d0b121c0",
			19: "52519e6319505df7a9aa83778618ec10b78c5771bac50e8d3f59bc815dabfb1f",
			59: "ae5a4fdc779d808ba898966c8c14a6c9894107ef3e1d680f6ae37e95cb7e1b67",
			99: "6a912ba4188391a78e6f13d88ed2d14e13afce9db6f7dcbf4a48c24f3db02778",
		}},
		{"SHA2-384", "standard", "edff07255c71b54a9beae52cdfa083569a08be89949cbba73ddc8acf429359ca5e5be7a673633ca0d9709848f522a9df", map[int]string{
			0:  "e81b86c49a38feddfd185f71ca7da6732a053ed4a2640d52d27f53f9f76422650b0e93645301ac99f8295d6f820f1035",
			1:  "1d6bd21713bffd50946a10c39a7742d740e8f271f0c8f643d4c95375094fd9bf29d89ee61a76053f22e44a4b058a64ed",
			99: "ccde4359f23e64579c5c0380df837ee950928aa82937a2d2ed33d216e707c46d847efa5ca52dcbda551145e164fbd594",
		}},
		{"SHA2-512", "standard", "5c337de5caf35d18ed90b5cddfce001ca1b8ee8602f367e7c24ccca6f893802fb1aca7a3dae32dcd60800a59959bc540d63237876b799229ae71a2526fbc52cd", map[int]string{
			0:  "ada69add0071b794463c8806a177326735fa624b68ab7bcab2388b9276c036e4eaaff87333e83c81c0bca0359d4aeebcbcfd314c0630e0c2af68c1fb19cc470e",
			1:  "ef219b37c24ae507a2b2b26d1add51b31fb5327eb8c3b19b882fe38049433dbeccd63b3d5b99ba2398920bcefb8aca98cd28a1ee5d2aaf139ce58a15d71b06b4",
			99: "4aa7dad74eb51d09a6ae7735c4b795b078f51c314f14f42a0d63071e13bdc5fd9f51612e77b36d44567502a3b5eb66c609ec017e51d8df93e58d1a44f3c1e375",
		}},
		{"SHA3-256", "standard", "aa64f7245e2177c654eb4de360da8761a516fdc7578c3498c5e582e096b8730c", map[int]string{
			0:  "225cbac2be6f329d94228c5360a1c177bc495a761c442a1771b1d18555c309a5",
			1:  "96d364a1b1ced3dbbce6380093fb1ac77221abcee30faf16546ffad8fe1eef8c",
			19: "d79a6f3dde5e053f342a2a2a9f844ddac71e5ff468a0d3276c81bd8126b3ee17",
			59: "c00ce2788f5ab3d14a492240ea54d05bac108353a2203436d3e0701c1b088262",
			99: "456f2ed7f5433bb4e56d7780a21a953e95d6a5eb53bb4c974c57a90e677f3197",
		}},
		{"SHA3-384", "standard", "7a00791f6f65c21f1c97c58fa3c0520cfc85cd7e3d398cf01950819fa717195065a363e77d07753647cb0c130e9972ad", map[int]string{
			0:  "b2d4e10214bd7991e3a3e4772f5c7b390178e20c3ff882648a891e44b9d309d91bf5fab74c0bc155a7fac972a9b128a2",
			1:  "608db3176176effb7b7cceb8962bffc67584cc9e9860752f6644c7810cc83f4fdefa108bcf308d4137265fbb1ecf10fb",
			99: "02c9babd4add11a5f23c1808f72e3dc8325cedc31d28213a04d999dac8f46b866f84ba3dbfbcf1a863cc54d808ffadca",
		}},
		{"SHA3-512", "standard", "764a5511f00dbb0eaef2eb27ad58d35f74f563b88f789ff53f6cf3a47060c75ceb455444cd17b6d438c042e0483919d249f2fd372774647d2545cbfad20b4d31", map[int]string{
			0:  "83dd81285c36d86dde72631a1a1e0d9c12b0e2842d499a63b00de87f11839565b21d9416f154b72034b7fcd41d2f1d9eac184eec823547772826ed90c53d856e",
			1:  "5c37bb6fe060007ce3fca1e6d01ed1bdd6e737f043a2929548cf1b08224a193e03c7314be44a496c8ecaf8a7458770f59cd27336a38ffa40588539572ecb946f",
			99: "760824a439b0681fcd5d22f8467d927a764febc457fd1eb62584ca82b00e1a07905a0117a955041892d2c9d849c096067ed2893aca5c841f8aa32dabe642bc82",
		}},
		{"SHA2-256", "alternate", "42DFBCD76B5DDC19B339F18D384D4B5ACD380F8BEC0F9FFD465FE3A3E4CE52951498A3CC342979F65D4CF32D05E1C96AE183AA1F43D4D1E6ABF001E4533966A766F66F02B72DDE78575260BEF54AEE484437DD4A75B88C849A5AF912A1D149BD0BE978F3290DA2BFCE20D8CF586C40A503A3B59DF77190DEEA981059ECAC983021B82A36F0F1EBF9D5D4BC0597761CABB4E6BE3A016A76351F68E5150777938A256F457517F58BC2DDB6086EA7AF46CFAD18D18037BD9F672E422B7CB4C9B0DD4363B4DE45CAC38667F6F7A0D2A5774BE499DEB854D7EDD94D8B3FDB7BF3B8D557DA131EFA2B698CD126582597EDF26D1DA76F6C9E08B75782AF09AF5694ACBF1B8F8EC41295F253067DC10C2E6F89573A967028B2D364E69E26B4EC7E6F099232869420442C048DCF224003EF557E369C881E6027DF46B0AFD3F01723C1764680B062ACA625DF58F69707F98414B98E3DD7AEF4B68A4294333B452385FA25D61BC418A8E4BB0D4A7DD5EA697379EBF5F775114898910B98584668B36F5C2EE0007B726F0AB0034F1F4686C2239BDA9BEFB580B3DB26518D342259E80A2D9103970D044E15DAAB7728EC6EEA1F40BBB22E73E100", map[int]string{
			0:  "52fc09401e67596f86d751a97e0a4d2d7e8d774daf326f00ba656b399f291fcc",
			1:  "c3dec68b4fcbe179708efa53f0dd7ab2dd7a4dab2c7e2687b0b728acff8ae70a",
			99: "98b66078e81e35acaf3543cf2bf3d1f6eed843c592a6bad2ae07204c2b2c5817",
		}},
		{"SHA3-256", "alternate", "6E5B6CCCD449108D1CBEA1868153893D03DB2A926DF865DA1CAA761768E8C78BE43E63289C2DE45C30F5D518637F766F27B4D815CE923BD18409FAB8A64082F1D70405F8C2B1F2DBF0F925A9CAEAE317621C57EBD99E8FE93625DA8F09D455559E9F034796D98C7FA0B1B35E7C72F75E98048DFB952191DA4B9BD14E30938DA457A11BC2497C1BF018ED0D6B78DA8508740A239778ACF7BA614CC3B1C9A46CAE1C2B38027A6C69BB9B06A88DDCF3260F4D9BF39C42AAD08FA3962EB238B7F6C17AEA5E9EE9D3A367A76541483C9B5190FEFC68BF65E7987BCA22D51ED41020DD4FE5282D83250BB65B5884DA259AB279B502C3599445A6A317E1C4F589FFC02B4067E3EF140693C255FD050B8AB05C8F175E1D943C614432D43D3417E760B360640F8B82", map[int]string{
			0:  "14be8e7cb92b186aabc646d14d31db3757af02f1557aa444175fc8e16e43bd61",
			1:  "10d12a4b74f5463b653fa44f3484c2cff26558e9dd8af2e4fdc0a2314087e286",
			99: "9123fbc14bc7f014dbafcadcc96c62e6e824c04be0e6606ff0b4b116f9826834",
		}},
	} {
		if testing.Short() && v.algorithm != "SHA2-512" && v.algorithm != "SHA3-256" {
			continue // 100,000 hashes each
		}
		t.Run(v.algorithm+"/"+v.version, func(t *testing.T) {
			prompt := fmt.Sprintf(`{"vsId": 1, "algorithm": %q, "revision": "1.0", "testGroups": [{"tgId": 1, "testType": "MCT",
				"mctVersion": %q, "tests": [{"tcId": 1, "msg": %q, "len": %d}]}]}`, v.algorithm, v.version, v.seed, 4*len(v.seed))
			var set answerSet
			if err := json.Unmarshal([]byte(mustAnswer(t, prompt)), &set); err != nil {
				t.Fatal(err)
			}
			results := set.TestGroups[0].Tests[0].ResultsArray
			if len(results) != 100 {
				t.Fatalf("%d results", len(results))
			}
			for i, want := range v.results {
				if results[i].MD != want {
					t.Errorf("result %d: got %s\nwant %s", i, results[i].MD, want)
				}
			}
		})
	}
}

// Before there was a version, the standard one was meant. Groups of SHA3, revision
// 1.0, have two fields more.
func TestMonteCarloWithoutVersion(t *testing.T) {
	const old = `{"vsId": 1, "algorithm": "SHA3-256", "revision": "1.0", "testGroups": [{"tgId": 1, "testType": "MCT", "maxOutLen": 0, "minOutLen": 0,
		"tests": [{"tcId": 1, "msg": "61", "len": 8}]}]}`
	const standard = `{"vsId": 1, "algorithm": "SHA3-256", "revision": "1.0", "testGroups": [{"tgId": 1, "testType": "MCT", "mctVersion": "standard",
		"tests": [{"tcId": 1, "msg": "61", "len": 8}]}]}`
	if got, want := mustAnswer(t, old), mustAnswer(t, standard); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func largeDataPrompt(algorithm, content string, bits int64) string {
	return fmt.Sprintf(`{"vsId": 1, "algorithm": %q, "revision": "1.0", "testGroups": [{"tgId": 1, "testType": "LDT", "tests": [{"tcId": 1,
		"largeMsg": {"content": %q, "contentLength": %d, "fullLength": %d, "expansionTechnique": "repeating"}}]}]}`,
		algorithm, content, 4*len(content), bits)
}

func largeData(t *testing.T, algorithm, content string, bits int64) string {
	t.Helper()
	var set answerSet
	if err := json.Unmarshal([]byte(mustAnswer(t, largeDataPrompt(algorithm, content, bits))), &set); err != nil {
		t.Fatal(err)
	}
	return set.TestGroups[0].Tests[0].MD
}

// The message is the content, again and again, and a part of it at the end.
func TestLargeData(t *testing.T) {
	content := []byte{1, 2, 3, 4, 5, 6, 7}
	for _, n := range []int{7, 8, 13, 14, 15, 28, 1000, 1<<16 + 1} {
		msg := bytes.Repeat(content, n/7+1)[:n]
		h := shaConditioners["SHA2-384"].New()
		h.Write(msg)
		want := hex.EncodeToString(h.Sum(nil))
		if got := largeData(t, "SHA2-384", hex.EncodeToString(content), 8*int64(n)); got != want {
			t.Errorf("%d bytes: got %s, want %s", n, got, want)
		}
	}
}

// A test of NIST with a message of 1 GiB: usnistgov/ACVP-Server,
// gen-val/json-files/SHA2-256-1.0, commit 15c0f3deeefbfa8cb6cd32a99e1ca3b738c66bf0,
// test 514. It fits into what flag -ldt is by default.
func TestLargeDataGiB(t *testing.T) {
	if testing.Short() || strconv.IntSize == 32 {
		t.Skip("it takes 1 GiB of memory")
	}
	const want = "171cbe0fef605ae836e05a778cde031e8d475d2f117d121065543abc89cc76b7"
	if got := largeData(t, "SHA2-256", "12735C605F3D270C", 1<<33); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
