// Draws the state of the generator, and asks for it again and again. Everything that comes
// from the server is shown as text.
"use strict";

const byId = (id) => document.getElementById(id);

// ---- Elements

function make(create, name, attributes, children) {
	const e = create(name);
	for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
	e.append(...children); // strings become text
	return e;
}
const html = (name, attributes = {}, ...children) => make((n) => document.createElement(n), name, attributes, children);
const svg = (name, attributes = {}, ...children) => make((n) => document.createElementNS("http://www.w3.org/2000/svg", n), name, attributes, children);

// setText changes text only if it is another one, so that nothing is read out twice.
function setText(e, text) {
	if (e.textContent !== text) e.textContent = text;
}

// ---- Words

const levels = ["unseeded", "initially seeded", "minimally seeded", "fully seeded"];
const count = (n) => n.toLocaleString("en");
const size = (n) => {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
	return (i === 0 || n >= 100 ? Math.round(n) : n.toPrecision(3)) + " " + units[i];
};
const bits = (n) => count(n) + (n === 1 ? " bit" : " bits");
function duration(ns) {
	if (ns >= 120e9) return Math.round(ns / 60e9) + " min";
	for (const [unit, length] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
		if (ns >= length) return (ns / length).toPrecision(3) + " " + unit;
	}
	return ns + " ns";
}
function ago(time, now) {
	const s = Math.max(0, Math.round((now - time) / 1000));
	if (s < 120) return s + " s ago";
	return s < 7200 ? Math.round(s / 60) + " min ago" : Math.round(s / 3600) + " h ago";
}
const memories = {
	secret: "not in core dumps, not swapped, out of reach of debuggers and of the kernel's own map",
	locked: "not swapped and not dumped",
	droppable: "not swapped and not dumped; the kernel may drop it",
	private: "not dumped; it may be swapped",
	heap: "that of any other data: it may be swapped and dumped",
};

// ---- State

const state = { boot: "", points: [], data: null, noise: [], failures: 0, lostAt: null, nextNoise: 0, timer: 0, busy: false };

// ---- Charts

// nice returns marks from least to at least most, 2 to 5 of them.
function nice(least, most, whole) {
	const span = Math.max(most - least, whole ? 1 : 1e-9);
	let step = 10 ** Math.floor(Math.log10(span / 3));
	for (const factor of [1, 2, 2.5, 5, 10]) {
		if (span / (step * factor) <= 4) {
			step *= factor;
			break;
		}
	}
	if (whole) step = Math.max(1, Math.round(step));
	const marks = [Math.floor(least / step) * step];
	while (marks[marks.length - 1] < most || marks.length < 2) marks.push(marks[marks.length - 1] + step);
	return marks;
}

const short = (n) => (n >= 1e9 ? n / 1e9 + "G" : n >= 1e6 ? n / 1e6 + "M" : n >= 1e4 ? n / 1e3 + "k" : String(+n.toPrecision(6)));

// A frame is a chart with a time axis: what it shows reaches back as far as there are
// samples, and a minute at least.
function frame(target, height, left, label) {
	const width = Math.max(240, target.clientWidth);
	const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label }, svg("title", {}, label));
	const d = state.data, bottom = height - 20, right = width - 8;
	const reach = Math.min(d.history * d.interval, Math.max(60e3, d.now - state.points[0].time));
	const from = d.now - reach;
	const x = (time) => left + (right - left) * Math.max(0, (time - from) / reach);
	const back = (ms) => (ms < 120e3 ? Math.round(ms / 1000) + " s" : +(ms / 60e3).toFixed(1) + " min");
	for (const part of [0, 0.5, 1]) {
		const at = left + (right - left) * part;
		root.append(svg("line", { class: "grid", x1: at, x2: at, y1: 8, y2: bottom + 4 }));
		root.append(svg("text", { x: at, y: height - 4, "text-anchor": ["start", "middle", "end"][part * 2] }, part === 1 ? "now" : "−" + back(reach * (1 - part))));
	}
	return { root, x, from, left, right, top: 8, bottom, width };
}

// shown returns the samples in the frame, and one before it.
function shown(f) {
	const first = state.points.findIndex((p) => p.time >= f.from);
	return state.points.slice(Math.max(0, first - 1));
}

// gap tells whether nobody looked between two samples.
const gap = (p, q) => q.time - p.time > 3 * state.data.interval + 2000;

// lines draws curves over time. A series has a name, and a value for each sample.
function lines(id, { series, marks, text = short, stairs = false, label }) {
	const target = byId(id);
	const f = frame(target, 170, Math.max(34, 10 + 7.4 * Math.max(...marks.map((m) => text(m).length))), label);
	const least = marks[0], most = marks[marks.length - 1];
	const y = (v) => f.bottom - ((v - least) / (most - least)) * (f.bottom - f.top);
	for (const m of marks) {
		f.root.append(svg("line", { class: "grid", x1: f.left, x2: f.right, y1: y(m), y2: y(m) }));
		f.root.append(svg("text", { x: f.left - 6, y: y(m) + 4, "text-anchor": "end" }, text(m)));
	}
	const points = shown(f);
	series.forEach(({ value }, i) => {
		let path = "", last = null;
		points.forEach((p, k) => {
			const v = value(p, points[k - 1]);
			if (v === null) {
				last = null;
				return;
			}
			const at = f.x(p.time).toFixed(1), level = y(v).toFixed(1);
			if (!last || gap(last, p)) path += `M${at} ${level}h.1`;
			else path += (stairs ? `H${at}V${level}` : `L${at} ${level}`);
			last = p;
		});
		if (path) f.root.append(svg("path", { class: `curve p${i % 6}`, d: path }));
	});
	target.replaceChildren(f.root, ...(series.length > 1 || series[0]?.legend ? [legend(series)] : []));
}

function legend(series) {
	return html("ul", { class: "legend" }, ...series.map(({ name, legend }, i) =>
		html("li", {}, svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }, svg("path", { class: `curve p${i % 6}`, d: "M0 5H28" })), name + (legend ? ": " + legend : ""))));
}

function drawLevel() {
	const s = state.data.status;
	lines("c-level", {
		stairs: true, marks: [0, 1, 2, 3], text: (m) => levels[m].replace(" seeded", ""),
		series: [{ name: "level", value: (p) => p.level, legend: `${s.level}; ${bits(s.entropy)} collected towards the next seed` }],
		label: `Level over time. Now: ${s.level}.`,
	});
}

function drawCredits() {
	const s = state.data.status, start = state.points[0];
	const total = (p, i) => p.sources[i].total - start.sources[i].total;
	const most = Math.max(1, ...s.sources.map((_, i) => total(state.points[state.points.length - 1], i)));
	lines("c-credits", {
		stairs: true, marks: nice(0, most, true),
		series: s.sources.map((src, i) => ({ name: src.name, value: (p) => total(p, i), legend: count(src.total_credited) + " in all" })),
		label: "Bits credited to each source over time.",
	});
}

function drawSeeds() {
	const s = state.data.status, p = state.points;
	lines("c-seeds", {
		stairs: true, marks: nice(Math.min(p[0].seeds, p[0].rounds), Math.max(s.seeds, s.rounds), true),
		series: [{ name: "seeds handed to instances", value: (q) => q.seeds, legend: count(s.seeds) }, { name: "rounds of the sources", value: (q) => q.rounds, legend: count(s.rounds) }],
		label: `Seeds and rounds over time. Now: ${s.seeds} seeds from ${s.rounds} rounds.`,
	});
}

function drawOutput() {
	const rate = (p, before) => (!before || gap(before, p) ? null : (p.bytes - before.bytes) * 1000 / Math.max(1, p.time - before.time));
	const rates = state.points.map((p, i) => rate(p, state.points[i - 1]) ?? 0);
	const now = rates[rates.length - 1];
	lines("c-output", {
		marks: nice(0, Math.max(10, ...rates), true),
		series: [{ name: "output", value: rate, legend: size(Math.round(now)) + "/s" }],
		label: `Output over time. Now: ${size(Math.round(now))} a second.`,
	});
}

// stateWords are for people who do not see the shapes.
const stateWords = { well: "passed", failed: "failed", absent: "unavailable", idle: "not yet asked" };

// drawHealth draws a row for each source: how its state was, and a cross for each sample
// that found a new failure.
function drawHealth() {
	const sources = state.data.status.sources, row = 26;
	const now = sources.map((s, i) => `${s.name}: ${s.health}`).join("; ");
	const f = frame(byId("c-health"), 28 + row * sources.length, 92, `Health of the sources over time. Now: ${now}.`);
	f.root.append(svg("defs", {}, svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 6 }))));
	const points = shown(f);
	sources.forEach((src, i) => {
		const middle = 8 + row * i + row / 2;
		const name = src.name.length > 13 ? src.name.slice(0, 12) + "…" : src.name;
		f.root.append(svg("text", { class: "name", x: 0, y: middle + 4 }, name, svg("title", {}, src.name)));
		for (let k = 0; k < points.length;) {
			const was = points[k].sources[i].state, begin = k;
			while (k + 1 < points.length && points[k + 1].sources[i].state === was && !gap(points[k], points[k + 1])) k++;
			const next = points[k + 1];
			const end = next && !gap(points[k], next) ? next.time : points[k].time + state.data.interval;
			const from = f.x(points[begin].time), to = Math.min(f.right, f.x(end));
			const height = { well: 8, failed: 20, absent: 14, idle: 2 }[was];
			f.root.append(svg("rect", { class: was, x: from, y: middle - height / 2, width: Math.max(2, to - from), height }, svg("title", {}, `${src.name}: ${stateWords[was]}`)));
			k++;
		}
		points.forEach((p, k) => {
			if (k > 0 && p.sources[i].failures > points[k - 1].sources[i].failures) {
				const at = f.x(p.time);
				f.root.append(svg("path", { class: "cross", d: `M${at - 4} ${middle - 4}l8 8m0 -8l-8 8` }));
			}
		});
	});
	const key = (was, words) => html("li", {}, svg("svg", { viewBox: "0 0 28 20", "aria-hidden": "true" }, svg("rect", { class: was, x: 1, width: 26, y: 10 - { well: 4, failed: 9, absent: 7, idle: 1 }[was], height: { well: 8, failed: 18, absent: 14, idle: 2 }[was] })), words);
	byId("c-health").replaceChildren(f.root, html("ul", { class: "legend" }, key("well", "delivers"), key("failed", "failed"), key("absent", "unavailable"), key("idle", "not yet asked"), html("li", {}, "✕ a new failure")));
}

// drawRound draws what each source was credited with in its last round.
function drawRound() {
	const target = byId("c-round"), sources = state.data.status.sources, row = 30;
	const width = Math.max(240, target.clientWidth), left = 92, right = width - 100;
	const most = Math.max(1, ...sources.map((s) => Math.max(s.requested, s.credited)));
	const text = sources.map((s) => `${s.name}: ${s.credited} of ${s.requested}`).join("; ");
	const root = svg("svg", { viewBox: `0 0 ${width} ${row * sources.length}`, height: row * sources.length, role: "img", "aria-label": `Bits credited in the last round. ${text}.` });
	sources.forEach((s, i) => {
		const y = row * i, length = (n) => (right - left) * n / most;
		const name = s.name.length > 13 ? s.name.slice(0, 12) + "…" : s.name;
		root.append(svg("text", { class: "name", x: 0, y: y + 19 }, name, svg("title", {}, s.name)));
		root.append(svg("rect", { class: "room", x: left, y: y + 7, width: Math.max(1, length(s.requested)), height: 16 }));
		root.append(svg("rect", { class: "bar", x: left, y: y + 7, width: length(s.credited), height: 16 }));
		root.append(svg("text", { class: "name", x: right + 8, y: y + 19 }, `${s.credited} of ${s.requested}`));
	});
	target.replaceChildren(root);
}

// ---- Raw noise

// describe says how raw samples came about.
function describe(p) {
	const parts = [];
	if (p.origin) parts.push(p.origin);
	if (p.step) parts.push(`step ${p.step}`);
	if (p.osr) parts.push(`${p.osr} samples a bit`);
	if (p.memory_size) parts.push(size(p.memory_size));
	return parts.join(", ");
}

function drawNoise() {
	byId("noise").hidden = !state.data.noise || state.noise.length === 0;
	if (byId("noise").hidden) return;
	const target = byId("histograms");
	while (target.children.length > state.noise.length) target.lastChild.remove();
	while (target.children.length < state.noise.length) target.append(html("figure", {}, html("figcaption", {}, html("h3")), html("div"), html("p", { class: "note" })));
	state.noise.forEach((h, i) => {
		const [caption, chart, note] = target.children[i].children;
		setText(caption.firstChild, h.source);
		if (h.error) {
			chart.replaceChildren();
			setText(note, "No noise: " + h.error);
			return;
		}
		const most = Math.max(...h.counts), mode = h.counts.indexOf(most), width = Math.max(240, chart.clientWidth), left = 46, right = width - 8, bottom = 112;
		const values = h.counts.filter((n) => n > 0).length;
		const text = `${count(h.samples)} samples, ${values} different values, the most common ${mode} (${(100 * most / h.samples).toFixed(1)} %)`;
		const marks = nice(0, most, true), top = marks[marks.length - 1];
		const x = (v) => left + (right - left) * v / 256, y = (n) => bottom - (bottom - 8) * n / top;
		const root = svg("svg", { viewBox: `0 0 ${width} 132`, height: 132, role: "img", "aria-label": `Histogram of raw noise of ${h.source}: ${text}.` });
		for (const m of marks) {
			root.append(svg("line", { class: "grid", x1: left, x2: right, y1: y(m), y2: y(m) }), svg("text", { x: left - 6, y: y(m) + 4, "text-anchor": "end" }, short(m)));
		}
		let path = `M${x(0).toFixed(1)} ${bottom}`;
		h.counts.forEach((n, v) => { path += `V${y(n).toFixed(1)}H${x(v + 1).toFixed(1)}`; });
		root.append(svg("path", { class: "bar", d: path + `V${bottom}Z` }));
		for (const v of [0, 64, 128, 192, 255]) root.append(svg("text", { x: x(v + 0.5), y: 128, "text-anchor": v === 0 ? "start" : v === 255 ? "end" : "middle" }, String(v)));
		chart.replaceChildren(root);
		const used = state.data.status.sources.find((s) => s.name === h.source)?.noise;
		setText(note, [text, describe(h.parameters), used ? `of the samples in use: ${used.min_entropy.toPrecision(3)} bits each by the most common value, claim ${used.claim.toPrecision(3)}` : ""].filter(Boolean).join("; ") + ".");
	});
}

// ---- Facts and tables

function drawFacts() {
	const s = state.data.status, full = s.level === levels[3] && !s.closed;
	const output = [...s.instances, s.prediction_resistance];
	const sum = (key) => output.reduce((n, i) => n + i[key], 0);
	const facts = [
		["Level", (s.closed ? "✕ closed" : (full ? "● " : "○ ") + s.level), "verdict: " + (s.verdict || "none yet"), full ? "good" : "bad"],
		["Strategy", s.strategy, "reseed: " + s.claim.reseed_frequency],
		["Mechanism", `${s.drng}, ${s.security_strength} bits`, (s.approved ? "one of SP 800-90A" : "not one of SP 800-90A") + `; conditioner ${s.conditioner}`],
		["Memory", s.memory, (memories[s.memory] || "") + (s.memory_reason ? `. No better, since: ${s.memory_reason}` : "")],
		["Copies of the machine", s.generation_changes === 0 ? "none noticed" : `${count(s.generation_changes)} noticed`, s.generation_page],
		["Output ahead of need", s.output_buffer ? size(s.output_buffer) + " in each instance" : "none", s.output_buffer_reason],
		["Self-tests", s.self_test === "passed" ? "✓ passed" : "✕ failed", s.self_test === "passed" ? `each before its first use; all of them again ${count(s.self_tests)} times` : s.self_test, s.self_test === "passed" ? "good" : "bad"],
		["Output", size(sum("bytes")), count(sum("requests")) + " requests"],
	];
	const target = byId("facts");
	while (target.children.length < facts.length) target.append(html("div", {}, html("dt"), html("dd"), html("dd", { class: "more" })));
	facts.forEach(([name, value, more, quality], i) => {
		const [dt, dd, rest] = target.children[i].children;
		setText(dt, name);
		setText(dd, value);
		setText(rest, more);
		dd.className = "main " + (quality || "");
	});
}

// problems returns what is wrong, in words.
function problems() {
	const d = state.data, s = d.status, list = [];
	if (s.closed) list.push("The generator is closed.");
	if (s.self_test !== "passed") list.push("A self-test failed: " + s.self_test);
	if (!s.closed && s.level !== levels[3]) list.push(`The generator is ${s.level}. Requests wait.`);
	s.sources.forEach((src, i) => {
		if (d.states[i] === "failed") list.push(`Source ${src.name}: ${src.health}: ${src.error}`);
		if (src.noise?.warning) list.push(`Source ${src.name}: the noise is below the claim of ${src.noise.claim.toPrecision(3)} bits a sample.`);
		if (src.false_claims > 0) list.push(`Source ${src.name} claimed more than it may, ${count(src.false_claims)} times.`);
	});
	if (s.seed_failures > 0) list.push(`${count(s.seed_failures)} seeds were refused by the mechanism.`);
	return list;
}

function drawProblems() {
	const list = problems(), target = byId("problems");
	const text = list.length ? list.map((p) => "✕ " + p) : ["✓ No problem known."];
	if (target.dataset.shown === JSON.stringify(text)) return;
	target.dataset.shown = JSON.stringify(text);
	target.replaceChildren(...text.map((t) => html("li", list.length ? {} : { class: "none" }, t)));
}

// table fills a table, changing only the cells that differ. The first column names a row.
function table(id, head, numbers, rows) {
	const t = byId(id);
	if (!t.tHead && head) t.append(html("thead", {}, html("tr", {}, ...head.map((h, i) => html("th", { scope: "col", class: numbers.includes(i) ? "number" : "" }, h)))));
	if (t.tBodies.length === 0) t.append(html("tbody"));
	const body = t.tBodies[0];
	while (body.rows.length > rows.length) body.lastChild.remove();
	rows.forEach((cells, r) => {
		if (!body.rows[r]) {
			body.append(html("tr", {}, ...cells.map((_, i) => (i === 0 ? html("th", { scope: "row" }) : html("td", { class: numbers.includes(i) ? "number" : "" })))));
		}
		cells.forEach((text, i) => setText(body.rows[r].cells[i], text));
	});
}

const health = { well: "✓ ", failed: "✕ ", absent: "– ", idle: "· " };

const mostRows = 64; // shards in the table

function drawTables() {
	const { status: s, states, now } = state.data;
	table("sources", ["Source", "Health", "Credited", "At most", "In all", "Calls", "Failures", "Skipped", "Late", "Last took", "Remarks"], [2, 3, 4, 5, 6, 7, 8, 9],
		s.sources.map((e, i) => [
			e.name, health[states[i]] + e.health, count(e.credited), count(e.rate) + (e.rate === e.max_entropy ? "" : " of " + count(e.max_entropy)), count(e.total_credited),
			count(e.calls), count(e.failures), count(e.skipped), count(e.late), duration(e.cost),
			[e.error, e.uncredited && "not credited: " + e.uncredited, e.certificate && `certificate ${e.certificate}, as declared`, e.slow && "slow"].filter(Boolean).join("; ") || "none",
		]));
	const row = (name, i) => [name, i.seeded ? "✓ seeded" : i.lost ? "✕ lost its seed" : "· not yet", i.memory, count(i.seeds), i.last_seed ? `${ago(Date.parse(i.last_seed), now)}, ${bits(i.last_credit)}` : "none", count(i.requests), size(i.bytes), count(i.since_seed), count(i.lost), count(i.unmixed)];
	table("instances", ["Instance", "Seed", "Memory", "Seeds", "Last seed", "Requests", "Output", "Requests since", "Seeds lost", "Unmixed"], [3, 5, 6, 7, 8, 9],
		[...s.instances.slice(0, mostRows).map((e, i) => row("shard " + i, e)),
			...(s.instances.length > mostRows ? [[`${count(s.instances.length - mostRows)} shards more`, ...Array(9).fill("")]] : []),
			row("prediction resistance", s.prediction_resistance)]);
	const c = s.claim, yes = (b) => (b ? "yes" : "no");
	table("claim", null, [], [
		["FIPS mode", yes(c.fips)],
		["Construction", `${c.construction}, combination method ${c.combination_method}`],
		["Operating environment", c.operating_environment],
		...c.sources.map((e) => ["Source " + e.name, [`at most ${bits(e.max_entropy)} a call`, e.health_tests ? "health tests" : "no health tests", e.raw_noise ? "noise open to assessment" : "noise not open", e.certificate ? `certificate ${e.certificate}, as declared` : "no certificate"].join("; ")]),
		["Conditioning", c.conditioning + (c.conditioning_output ? `: at least ${bits(c.conditioning_entropy)} in ${bits(c.conditioning_input)}, output ${bits(c.conditioning_output)}` : "")],
		["Mechanism", `${c.drbg}, ${bits(c.security_strength)}, ${c.approved ? "approved" : "not approved"}, ${c.derivation_function ? "with" : "without"} derivation function`],
		["Entropy of a seed", `first: ${c.seed_entropy ? bits(c.seed_entropy) : "as the verdict says"}; later: ${bits(c.reseed_entropy)}`],
		["Reseed", `${yes(c.reseed)}; ${c.reseed_frequency}; on request: ${yes(c.reseed_on_request)}`],
		["Prediction resistance", c.prediction_resistance ? "on request" : "no"],
	]);
}

function draw() {
	if (!state.data || state.points.length === 0) return;
	drawProblems();
	drawFacts();
	drawLevel();
	drawHealth();
	drawCredits();
	drawSeeds();
	drawOutput();
	drawRound();
	drawNoise();
	drawTables();
}

// ---- Connection

function accept(d) {
	const before = state.data;
	// Another generator, or one with other sources, has a history of its own.
	if (d.boot !== state.boot || before && before.status.sources.length !== d.status.sources.length) {
		state.boot = d.boot;
		state.points = [];
		state.noise = [];
		state.nextNoise = 0;
	}
	state.data = d;
	// A list of no elements is null in JSON.
	d.states ??= [];
	d.status.sources ??= [];
	d.status.instances ??= [];
	d.status.claim.sources ??= [];
	for (const p of d.points) p.sources ??= [];
	const last = state.points.length ? state.points[state.points.length - 1].number : 0;
	state.points.push(...d.points.filter((p) => p.number > last));
	state.points.splice(0, Math.max(0, state.points.length - d.history));
}

async function ask(path, timeout) {
	const r = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(timeout) });
	if (!r.ok) throw new Error("the answer is " + r.status);
	return r.json();
}

// later asks again: after an interval, or when there is no connection after 1, 2, 4 … 30
// seconds, and a part of one so that not all pages come at once.
function later() {
	clearTimeout(state.timer);
	let wait = state.data ? state.data.interval : 1000;
	if (state.failures > 0) wait = Math.min(30, 2 ** (state.failures - 1)) * 1000 * (1 + Math.random() / 4);
	state.timer = setTimeout(poll, wait);
	return wait;
}

async function poll() {
	if (document.hidden || state.busy) return; // it goes on when somebody looks
	state.busy = true;
	const c = byId("connection");
	try {
		const last = state.points.length ? state.points[state.points.length - 1].number : 0;
		accept(await ask(`data?boot=${encodeURIComponent(state.boot)}&after=${last}`, 10000));
		state.failures = 0;
		state.lostAt = null;
		later();
		c.className = "";
		document.body.classList.remove("stale");
		setText(c, "● connected");
	} catch (error) {
		state.failures++;
		state.lostAt ??= new Date();
		const wait = later();
		c.className = "lost";
		document.body.classList.add("stale");
		const why = error instanceof TypeError || error instanceof DOMException ? "No connection" : `No answer (${error.message})`;
		setText(c, `✕ ${why} since ${state.lostAt.toLocaleTimeString()}. Next try in ${Math.ceil(wait / 1000)} s.`);
		return;
	} finally {
		state.busy = false;
	}
	askNoise();
	draw();
}

// askNoise asks for the noise if it is time. A source may take long for it, which does not
// mean that there is no connection.
async function askNoise() {
	if (!state.data.noise || Date.now() < state.nextNoise) return;
	state.nextNoise = Infinity;
	const boot = state.boot;
	let noise = state.noise;
	try {
		noise = await ask("noise", 60000);
	} catch {
		// The next answer, or the lack of it, tells why.
	}
	if (state.boot === boot) {
		state.noise = noise;
		state.nextNoise = Date.now() + state.data.noise;
	}
}

document.addEventListener("visibilitychange", () => {
	if (!document.hidden) poll();
});
let redraw = 0;
window.addEventListener("resize", () => {
	cancelAnimationFrame(redraw);
	redraw = requestAnimationFrame(draw);
});
poll();
