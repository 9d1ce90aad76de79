module github.com/lrng-go/lrng/internal/keccak/_asm

go 1.26
