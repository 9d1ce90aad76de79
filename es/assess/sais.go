package assess

// suffixArray returns the starts of the suffixes of text in their lexical order. The
// symbols of text are 0…k-1. It takes time and memory in proportion to the length,
// whatever the text is.
//
// It is the SA-IS algorithm: Nong, Zhang and Chan, "Linear Suffix Array Construction
// by Almost Pure Induced-Sorting", 2009. The end of the text counts as a symbol that is
// less than all others.
func suffixArray[T byte | int32](text []T, k int) []int32 {
	n := len(text)
	sa := make([]int32, n)
	switch n {
	case 0, 1:
		return sa
	}
	// A suffix is of type S if it is less than the one that starts one later, and
	// otherwise of type L. A suffix of type S after one of type L is leftmost (LMS).
	small := make([]bool, n)
	for i := n - 2; i >= 0; i-- {
		small[i] = text[i] < text[i+1] || text[i] == text[i+1] && small[i+1]
	}
	lms := func(i int32) bool { return i > 0 && small[i] && !small[i-1] }

	// Each bucket has the suffixes that start with one symbol. Those of type L come
	// first.
	size := make([]int32, k)
	for _, s := range text {
		size[s]++
	}
	at := make([]int32, k)
	heads := func() {
		var sum int32
		for s, n := range size {
			at[s] = sum
			sum += n
		}
	}
	tails := func() {
		var sum int32
		for s, n := range size {
			sum += n
			at[s] = sum
		}
	}
	// induce sorts all suffixes, given the order of the leftmost ones.
	induce := func(order []int32) {
		for i := range sa {
			sa[i] = -1
		}
		tails()
		for i := len(order) - 1; i >= 0; i-- {
			s := text[order[i]]
			at[s]--
			sa[at[s]] = order[i]
		}
		heads()
		s := text[n-1]
		sa[at[s]] = int32(n - 1)
		at[s]++
		for i := range sa {
			if j := sa[i] - 1; j >= 0 && !small[j] {
				s := text[j]
				sa[at[s]] = j
				at[s]++
			}
		}
		tails()
		for i := n - 1; i >= 0; i-- {
			if j := sa[i] - 1; j >= 0 && small[j] {
				s := text[j]
				at[s]--
				sa[at[s]] = j
			}
		}
	}

	var order []int32
	for i := range int32(n) {
		if lms(i) {
			order = append(order, i)
		}
	}
	induce(order) // sorts the substrings from one leftmost suffix to the next
	if len(order) < 2 {
		return sa
	}
	// Name the substrings, equal ones alike, and sort the text of names.
	number := make([]int32, n) // of a leftmost suffix, in the order of the text
	for i, p := range order {
		number[p] = int32(i)
	}
	end := func(p int32) int { // of the substring that starts at p
		if i := int(number[p]) + 1; i < len(order) {
			return int(order[i]) + 1
		}
		return n
	}
	names := make([]int32, len(order))
	name, prev := int32(-1), int32(-1)
	for _, p := range sa {
		if !lms(p) {
			continue
		}
		if prev < 0 || !sameSubstring(text, int(prev), end(prev), int(p), end(p)) {
			name++
		}
		names[number[p]], prev = name, p
	}
	number = nil
	if int(name)+1 < len(order) {
		sorted := suffixArray(names, int(name)+1)
		for i, j := range sorted {
			sorted[i] = order[j]
		}
		order = sorted
	} else {
		sorted := make([]int32, len(order))
		for i, j := range names {
			sorted[j] = order[i]
		}
		order = sorted
	}
	induce(order)
	return sa
}

// sameSubstring reports whether text[a:aEnd] and text[b:bEnd], for a and b at leftmost
// suffixes, are the same. One that ends with the text is like no other, since the end
// is a symbol of its own.
func sameSubstring[T byte | int32](text []T, a, aEnd, b, bEnd int) bool {
	if aEnd-a != bEnd-b || aEnd == len(text) || bEnd == len(text) {
		return false
	}
	for i := range aEnd - a {
		if text[a+i] != text[b+i] {
			return false
		}
	}
	return true
}

// commonPrefixes makes of a suffix array the array of the lengths of the longest common
// prefixes: element i is that of suffixes i-1 and i, and element 0 is 0.
//
// Kärkkäinen, Manzini and Puglisi, "Permuted Longest-Common-Prefix Array", 2009.
func commonPrefixes(text []byte, sa []int32) {
	before := make([]int32, len(sa)) // the suffix before each, and then the length
	prev := int32(-1)
	for _, p := range sa {
		before[p], prev = prev, p
	}
	length := 0
	for i := range before {
		j := int(before[i])
		if j < 0 {
			length = 0
			before[i] = 0
			continue
		}
		for i+length < len(text) && j+length < len(text) && text[i+length] == text[j+length] {
			length++
		}
		before[i] = int32(length)
		length = max(0, length-1)
	}
	for i, p := range sa {
		sa[i] = before[p]
	}
}
