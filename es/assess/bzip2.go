package assess

import "math"

// Parameters of bzip2 1.0. SP 800-90B, Section 5.1.11, names the program, and NIST's tool
// uses level 5.
const (
	bzip2Level     = 5
	bzip2Block     = 100_000*bzip2Level - 19 // bytes at which a block is full
	bzip2GroupSize = 50                      // symbols that share a code
	bzip2Rounds    = 4                       // of the choice of codes
	bzip2MaxLength = 17                      // of a code word, in bits
)

// bzip2Size returns how many bytes bzip2 makes of text. No byte may occur more than three
// times in a row, since the first step of bzip2, the encoding of longer runs, is not here:
// numbers of at most three digits, and a space after each, have none.
func bzip2Size(text []byte) int {
	size := 4*8 + 48 + 32 // header, and end of stream with checksum
	for len(text) > 0 {
		// A block ends with a run, once it is full.
		n := min(len(text), bzip2Block)
		for n < len(text) && n > 0 && text[n] == text[n-1] {
			n++
		}
		size += bzip2BlockBits(text[:n])
		text = text[n:]
	}
	return (size + 7) / 8
}

// bzip2BlockBits returns the number of bits of a block.
func bzip2BlockBits(block []byte) int {
	symbols, alphabet, maps := bzip2Symbols(block)

	// The tables to start with: each favours a range of symbols with about the same share.
	var count [258]int
	for _, s := range symbols {
		count[s]++
	}
	var groups int
	switch n := len(symbols); {
	case n < 200:
		groups = 2
	case n < 600:
		groups = 3
	case n < 1200:
		groups = 4
	case n < 2400:
		groups = 5
	default:
		groups = 6
	}
	lengths := make([][]byte, groups)
	left, start := len(symbols), 0
	for t := groups - 1; t >= 0; t-- {
		end, sum := start, 0
		for sum < left/(t+1) && end < alphabet {
			sum += count[end]
			end++
		}
		if end-start > 1 && t != groups-1 && t != 0 && (groups-1-t)%2 == 1 {
			end--
			sum -= count[end]
		}
		lengths[t] = make([]byte, alphabet)
		for s := range lengths[t] {
			if s < start || s >= end {
				lengths[t][s] = 15
			}
		}
		start = end
		left -= sum
	}

	// The tables are improved: each group of symbols takes the best one, and each table
	// is made for its groups.
	var chosen []int
	for range bzip2Rounds {
		use := make([][]int, groups)
		for t := range use {
			use[t] = make([]int, alphabet)
		}
		chosen = chosen[:0]
		for rest := symbols; len(rest) > 0; rest = rest[min(bzip2GroupSize, len(rest)):] {
			group := rest[:min(bzip2GroupSize, len(rest))]
			best, least := 0, math.MaxInt
			for t, length := range lengths {
				cost := 0
				for _, s := range group {
					cost += int(length[s])
				}
				if cost < least {
					best, least = t, cost
				}
			}
			chosen = append(chosen, best)
			for _, s := range group {
				use[best][s]++
			}
		}
		for t := range lengths {
			bzip2CodeLengths(lengths[t], use[t])
		}
	}

	// Magic, checksum, one bit, index of the text, map of bytes in use, numbers of tables
	// and of groups.
	size := 48 + 32 + 1 + 24 + 16 + 16*maps + 3 + 15
	// The tables of the groups, moved to the front, in unary.
	front := make([]int, groups)
	for t := range front {
		front[t] = t
	}
	for _, t := range chosen {
		i := 0
		for front[i] != t {
			i++
		}
		copy(front[1:i+1], front[:i])
		front[0] = t
		size += i + 1
	}
	// The lengths of the code words, as steps from one to the next.
	for _, length := range lengths {
		size += 5
		at := int(length[0])
		for _, l := range length {
			size += 2*max(at-int(l), int(l)-at) + 1
			at = int(l)
		}
	}
	for i, s := range symbols {
		size += int(lengths[chosen[i/bzip2GroupSize]][s])
	}
	return size
}

// bzip2Symbols returns the symbols to be coded for a block, how many different ones there
// may be, and how many ranges of 16 bytes have one that is in use: it sorts the rotations
// of the block, takes the byte before each, moves bytes to the front, and writes runs of
// zeros as numbers.
func bzip2Symbols(block []byte) (symbols []uint16, alphabet, maps int) {
	var used [256]bool
	for _, b := range block {
		used[b] = true
	}
	var number [256]byte
	k := 0
	for b, ok := range used {
		if ok {
			number[b] = byte(k)
			k++
		}
	}
	for i := 0; i < 256; i += 16 {
		for _, ok := range used[i:][:16] {
			if ok {
				maps++
				break
			}
		}
	}
	// Starting with the least of the rotations, the order of the suffixes is that of the
	// rotations, but for the order of equal ones: it is a Lyndon word, or one repeated.
	least := leastRotation(block)
	text := make([]byte, 0, len(block))
	for _, b := range block[least:] {
		text = append(text, number[b])
	}
	for _, b := range block[:least] {
		text = append(text, number[b])
	}
	front := make([]byte, k)
	for i := range front {
		front[i] = byte(i)
	}
	zeros := 0
	flush := func() { // bijective numeration with the digits 1 and 2, the lowest first
		for ; zeros > 0; zeros = (zeros - 1) / 2 {
			symbols = append(symbols, uint16((zeros-1)&1))
		}
	}
	symbols = make([]uint16, 0, len(text)+1)
	for _, p := range suffixArray(text, k) {
		b := text[(int(p)+len(text)-1)%len(text)]
		if front[0] == b {
			zeros++
			continue
		}
		flush()
		i := 1
		for front[i] != b {
			i++
		}
		copy(front[1:i+1], front[:i])
		front[0] = b
		symbols = append(symbols, uint16(i+1))
	}
	flush()
	return append(symbols, uint16(k+1)), k + 2, maps // and the end of the block
}

// leastRotation returns where the least rotation of s starts, in linear time.
func leastRotation(s []byte) int {
	n := len(s)
	i, j, k := 0, 1, 0 // candidates, and for how long they are equal
	for i < n && j < n && k < n {
		a, b := s[(i+k)%n], s[(j+k)%n]
		switch {
		case a == b:
			k++
			continue
		case a > b:
			i += k + 1
		default:
			j += k + 1
		}
		if i == j {
			j++
		}
		k = 0
	}
	return min(i, j)
}

// bzip2CodeLengths sets the lengths of a Huffman code for symbols with the given counts.
// Of several codes it is the one that bzip2 has, since that decides on the choice of
// tables: a weight has the depth of its tree in the low byte, and equal weights leave the
// heap as they do there.
func bzip2CodeLengths(lengths []byte, count []int) {
	n := len(lengths)
	leaf := make([]int, n)
	for i, c := range count {
		leaf[i] = max(1, c) << 8
	}
	for {
		weight := append(make([]int, 0, 2*n), leaf...)
		parent := make([]int, 2*n)
		heap := make([]int, 1, n+2) // of nodes, from 1
		push := func(node int) {
			heap = append(heap, node)
			i := len(heap) - 1
			for ; i > 1 && weight[node] < weight[heap[i/2]]; i /= 2 {
				heap[i] = heap[i/2]
			}
			heap[i] = node
		}
		pop := func() int {
			top, node := heap[1], heap[len(heap)-1]
			heap = heap[:len(heap)-1]
			i := 1
			for 2*i < len(heap) {
				child := 2 * i
				if child+1 < len(heap) && weight[heap[child+1]] < weight[heap[child]] {
					child++
				}
				if weight[node] < weight[heap[child]] {
					break
				}
				heap[i] = heap[child]
				i = child
			}
			if len(heap) > 1 {
				heap[i] = node
			}
			return top
		}
		for i := range n {
			push(i)
		}
		for len(heap) > 2 {
			a, b := pop(), pop()
			node := len(weight)
			weight = append(weight, (weight[a]&^0xff+weight[b]&^0xff)|(1+max(weight[a]&0xff, weight[b]&0xff)))
			parent[a], parent[b] = node, node
			push(node)
		}
		longest := 0
		for i := range n {
			length := 0
			for node := i; parent[node] != 0; node = parent[node] {
				length++
			}
			lengths[i] = byte(length)
			longest = max(longest, length)
		}
		if longest <= bzip2MaxLength {
			return
		}
		for i, w := range leaf {
			leaf[i] = (1 + w>>8/2) << 8
		}
	}
}
