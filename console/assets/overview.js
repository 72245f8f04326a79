/* The overview: what passes, what waits, how the store is, what is full. */
import {chip} from "./chip.js";
import {el, fill, say} from "./dom.js";
import {bytes, compact, number, rate, visible} from "./format.js";
import {EVERY_MS, SAMPLES} from "./metrics.js";
import {write} from "./route.js";
import {bar, spark} from "./spark.js";
import {page, scan} from "./view.js";

/* Figures over time: line(history) is drawn, its last value is said by says(value), and more(history)
 * stands beside it. */
const FIGURES = [{
	title: "Messages in", unit: "per second",
	line: (h) => h.rates("sqmqos_messages_received_total"), says: rate,
}, {
	title: "Messages out", unit: "per second",
	line: (h) => h.rates("sqmqos_messages_sent_total"), says: rate,
}, {
	title: "Refused and dropped", unit: "per second",
	line: (h) => h.rates("sqmqos_messages_refused_total", "sqmqos_messages_dropped_total"), says: rate,
}, {
	title: "Waiting", unit: "messages",
	line: (h) => h.gauge("sqmqos_queued_messages"), says: compact,
	more: (h) => `of ${bytes(h.last("sqmqos_queued_bytes"))}`,
}, {
	title: "Sessions", unit: "attached",
	line: (h) => h.gauge("sqmqos_sessions_attached"), says: compact,
	more: (h) => `of ${number(h.last("sqmqos_sessions"))}`,
}, {
	title: "Commits to the store", unit: "per second",
	line: (h) => h.rates("sqmqos_store_commits_total"), says: rate,
}];

class Figure {
	#of;
	#now = el("strong");
	#more = el("span", {class: "more"});
	#line = el("div", {class: "line"});

	constructor(of) {
		this.#of = of;
		this.node = el("section", {class: "panel figure-card", "aria-label": of.title},
			el("h2", {}, of.title),
			el("p", {}, this.#now, " ", el("span", {class: "unit"}, of.unit), " ", this.#more),
			this.#line);
	}

	show(history) {
		const {line, says, more, title, unit} = this.#of;
		const values = line(history);
		const known = values.filter((v) => v !== null);
		const now = known.at(-1) ?? null;
		say(this.#now, now === null ? "–" : says(now));
		say(this.#more, now !== null && more ? more(history) : "");
		fill(this.#line, spark(values, `${title}, ${unit}, of the last ${SAMPLES * EVERY_MS / 60000} minutes: `
			+ (now === null ? "not known yet" : `now ${says(now)}, at most ${says(Math.max(...known))}`)));
	}
}

/* How much of what is there is used. */
function meter(title, used, most) {
	const part = most > 0 ? Math.min(1, used / most) : 0;
	return el("div", {class: "meter"},
		el("span", {}, title),
		bar(part, title),
		el("span", {class: "more"}, `${bytes(used)} of ${bytes(most)}`));
}

function store(row) {
	const state = [];
	state.push(row.healthy ? {tone: "good", text: "healthy", why: ""} : {tone: "bad", text: "not healthy", why: row.why ?? ""});
	if (row.stalled)
		state.push({tone: "bad", text: "stalled", why: "commits have been waiting for long"});
	if (row.full)
		state.push({tone: "bad", text: "full", why: "takes nothing new: see store.max-size"});
	if (row.damaged > 0)
		state.push({tone: "bad", text: `${number(row.damaged)} damaged`, why: "messages that did not verify, and were not served"});
	if (row.read_failures > 0)
		state.push({tone: "warn", text: `${number(row.read_failures)} reads failed`, why: "and are tried again"});
	if (!row.durable)
		state.push({tone: "calm", text: "in memory only", why: "nothing outlives the broker"});
	return [
		el("p", {class: "marks"}, ...state.map(chip)),
		row.why ? el("p", {class: "why"}, visible(row.why)) : null,
		row.durable ? meter("Tables", row.table_bytes, row.table_max) : null,
		row.durable ? meter("Journal", row.journal_bytes, row.journal_max) : null,
	];
}

export class Overview {
	everyMs = 4000;
	#history;
	#tables;
	#figures = FIGURES.map((of) => new Figure(of));
	#store = el("div");
	#spaces = el("div");

	constructor(tables, history) {
		this.#tables = tables;
		this.#history = history;
		this.node = el("section", {class: "plain", "aria-labelledby": "title"},
			el("h1", {id: "title"}, "Overview"),
			el("div", {class: "figures"}, ...this.#figures.map((f) => f.node)),
			el("div", {class: "two"},
				el("section", {class: "panel", "aria-label": "Store"}, el("h2", {}, "Store"), this.#store),
				el("section", {class: "panel", "aria-label": "Spaces"}, el("h2", {}, "Spaces that are full"), this.#spaces)));
		this.sampled();
	}

	/* The history has one more sample. */
	sampled() {
		for (const figure of this.#figures)
			figure.show(this.#history);
	}

	async refresh() {
		await this.#refreshStore();
		await this.#refreshSpaces();
	}

	async #refreshStore() {
		if (!this.#tables.has("store")) {
			fill(this.#store, el("p", {class: "said"}, "Shown to those who may name any space."));
			return;
		}
		const {rows} = await page("store", {limit: 1});
		fill(this.#store, rows.flatMap(store));
	}

	async #refreshSpaces() {
		if (!this.#tables.has("spaces"))
			return;
		const full = [];
		let seen = 0;
		const all = await scan("spaces", ["space", "full"], (rows) => {
			seen += rows.length;
			full.push(...rows.filter((row) => row.full.length > 0));
		});
		const of = `${number(seen)}${all ? "" : " (there are more)"}`;
		fill(this.#spaces,
			el("ul", {class: "slow"}, ...full.slice(0, 10).map((row) => el("li", {},
				el("a", {href: write("spaces", {only: row.space, open: JSON.stringify([row.space])})},
					el("bdi", {class: "name"}, visible(row.space)),
					el("span", {class: "says"}, row.full.map((what) => what.replaceAll("_", " ")).join(", ")))))),
			el("p", {class: "said"}, full.length === 0 ? `None of ${of}: all have room.`
				: `${number(full.length)} of ${of} may have no more of something.`));
	}

	change() {
	}

	key() {
		return false;
	}

	leave() {
	}
}
