/* Who is slow: links that do not take what is written, queues in which messages get old, sessions
 * whose clients have no room.  It looks at the first rows of each table, and says how many. */
import {chip} from "./chip.js";
import {el, fill, say} from "./dom.js";
import {bytes, number, visible} from "./format.js";
import {OLD_MS, marks} from "./marks.js";
import {write} from "./route.js";
import {scan} from "./view.js";

const SHOWN = 20;

/* slow: whether a row is here, and before which others (the greatest first); 0: it is not. */
const SECTIONS = [{
	table: "links", title: "Links", name: "peer", key: ["link"],
	columns: ["link", "peer", "slow", "waiting", "leaving", "sessions"],
	slow: (row) => (row.slow ? 1e15 : 0) + row.waiting,
	says: (row) => `${bytes(row.waiting)} not written, ${number(row.sessions)} sessions`,
	none: "Every link takes what is written.",
}, {
	table: "queues", title: "Queues", name: "queue", key: ["queue"],
	columns: ["queue", "kind", "depth", "bytes", "age", "lonely", "full", "refused"],
	slow: (row) => (["dead", "dead-others", "delayed"].includes(row.kind) || row.depth === 0 ? 0
		: (row.full ? 1e15 : 0) + (row.age > OLD_MS ? row.age : 0) + (row.lonely !== null ? row.lonely + 1 : 0)),
	says: (row) => `${number(row.depth)} wait, ${bytes(row.bytes)}`,
	none: "No queue is full, old or without somebody who takes from it.",
}, {
	table: "sessions", title: "Sessions", name: "session", key: ["session"],
	columns: ["session", "state", "pending", "inflight", "queued"],
	slow: (row) => row.pending,
	says: (row) => `${number(row.inflight)} unfinished, ${number(row.queued)} in its queue`,
	none: "Every client has room for what comes.",
}];

/* The greatest of all rows that were added, and how many were looked at. */
class Top {
	rows = [];
	seen = 0;
	found = 0;

	constructor(weigh) {
		this.weigh = weigh;
	}

	add(rows) {
		const slow = rows.filter((row) => this.weigh(row) > 0);
		this.seen += rows.length;
		this.found += slow.length;
		this.rows = [...this.rows, ...slow].sort((a, b) => this.weigh(b) - this.weigh(a)).slice(0, SHOWN);
	}
}

class Section {
	#of;
	#list = el("ul", {class: "slow"});
	#said = el("p", {class: "said"});

	constructor(of) {
		this.#of = of;
		this.node = el("section", {class: "panel", "aria-label": of.title}, el("h2", {}, of.title), this.#list, this.#said);
	}

	#line(row) {
		const {table, name, key} = this.#of;
		const open = JSON.stringify(key.map((column) => row[column]));
		return el("li", {}, el("a", {href: write(table, {only: row[name], open})},
			el("bdi", {class: "name"}, visible(row[name])),
			el("span", {class: "marks"}, ...marks(table, row).map(chip)),
			el("span", {class: "says"}, this.#of.says(row))));
	}

	async refresh() {
		const top = new Top(this.#of.slow);
		const all = await scan(this.#of.table, this.#of.columns, (rows) => top.add(rows));
		fill(this.#list, top.rows.map((row) => this.#line(row)));
		const of = `${all ? "" : "the first "}${number(top.seen)} looked at`;
		say(this.#said, top.found === 0 ? `${this.#of.none} ${all ? "" : `(${of}; there are more)`}`
			: `${number(top.found)} of ${of}${all ? "" : "; there are more"}`
				+ `${top.found > SHOWN ? `, the first ${SHOWN} shown` : ""}.`);
	}
}

export class Slow {
	everyMs = 15000;
	#sections;

	constructor(tables) {
		this.#sections = SECTIONS.filter((s) => tables.has(s.table)).map((s) => new Section(s));
		this.node = el("section", {class: "plain", "aria-labelledby": "title"},
			el("h1", {id: "title"}, "Who is slow"),
			el("p", {class: "help"}, "What holds messages up, the worst first."),
			...this.#sections.map((s) => s.node));
	}

	async refresh() {
		for (const section of this.#sections)
			await section.refresh();
	}

	change() {
	}

	key() {
		return false;
	}

	leave() {
	}
}
