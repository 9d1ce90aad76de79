module github.com/lrng-go/lrng/internal/chacha20/_asm

go 1.26
