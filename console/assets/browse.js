/* A page for a table of the view: search, pages, details.  It asks for the rows that it shows. */
import {purge, redrive, remove} from "./deeds.js";
import {Detail} from "./detail.js";
import {el, fill, say} from "./dom.js";
import {number, titled} from "./format.js";
import {amend} from "./route.js";
import {Table} from "./table.js";
import {page} from "./view.js";

const ROWS = 50;
const TYPING_MS = 250;

const DEEDS = {
	queues: [{text: "Purge…", when: (row) => row.depth > 0 && row.kind !== "delayed",
		run: (row) => purge(row.queue, row.depth)}],
	sessions: [{text: "Remove…", when: (row) => !row.internal, run: (row) => remove(row.session, row.queued)}],
	"dead-letters": [{text: "Redrive…", when: () => true,
		run: (row) => redrive(row.space, row.queue, [row.letter])}],
};

export class Browse {
	everyMs = 3000;
	#shown;
	#tables;
	#manage;
	#user;
	#query;
	#after = [null]; /* cursors of the pages up to this one */
	#next = null;
	#rows = [];
	#page = 1; /* that of the rows, until the one that is asked for comes */
	#table;
	#detail = null;
	#begins;
	#space;
	#queue;
	#typing = null;
	#said = el("p", {class: "said", role: "status"});
	#none = el("p", {class: "none"});
	#older;
	#newer;
	#redrive = null;
	#side = el("div", {class: "side"});

	/* shown: of tables.js; tables: names of those that may be seen; user: {again()};
	 * manage: whether deeds may be done */
	constructor(shown, tables, query, manage, user) {
		this.#shown = shown;
		this.#tables = tables;
		this.#manage = manage;
		this.#user = user;
		this.#query = query;
		this.#table = new Table(shown, {
			open: (row) => this.#open(row),
			sort: (sort) => this.#amend({sort}),
			pick: manage && shown.table === "dead-letters" ? () => this.#picked() : undefined,
		});
		this.#newer = el("button", {type: "button", on: {click: () => this.#turn(-1)}}, "Previous");
		this.#older = el("button", {type: "button", on: {click: () => this.#turn(1)}}, "Next");
		this.node = el("section", {class: "browse", "aria-labelledby": "title", on: {keydown: (e) => this.#key(e)}},
			el("div", {class: "list"},
				el("h1", {id: "title"}, shown.title),
				el("p", {class: "help"}, shown.help),
				this.#tools(),
				el("div", {class: "frame"}, this.#table.node, this.#none),
				el("footer", {class: "pages"}, this.#said, el("span", {class: "buttons"}, this.#newer, this.#older))),
			this.#side);
	}

	#tools() {
		const typed = () => {
			clearTimeout(this.#typing);
			this.#typing = setTimeout(() => this.#search(), TYPING_MS);
		};
		const field = (id, placeholder, label) => el("input", {type: "search", id, spellcheck: "false",
			autocomplete: "off", placeholder, "aria-label": label, on: {input: typed}});
		const label = `${titled(this.#shown.name)}${this.#shown.exact ? "" : " begins with"}`;
		this.#begins = field("begins", `${label}…`, label);
		this.#queue = field("queue", "any queue", "Only of this queue");
		this.#queue.hidden = !this.#shown.byQueue;
		this.#space = field("space", "any space", "Only of this space");
		this.#space.hidden = this.#shown.everywhere || this.#shown.table === "spaces";
		this.#put();
		return el("form", {class: "tools", role: "search", on: {
			submit: (e) => {
				e.preventDefault();
				this.#search();
				this.#table.focus();
			},
		}}, this.#begins, this.#queue, this.#space, ...this.#picking());
	}

	#picking() {
		if (!this.#manage || this.#shown.table !== "dead-letters")
			return [];
		this.#redrive = el("button", {type: "button", class: "danger", disabled: true,
			on: {click: () => this.#redrivePicked()}}, "Redrive…");
		return [el("button", {type: "button", on: {
			click: () => this.#table.pickAll(this.#table.picked.length < this.#rows.length),
		}}, "Pick all shown"), this.#redrive];
	}

	#put() {
		this.#begins.value = this.#query.only || this.#query.begins || "";
		this.#space.value = this.#query.space ?? "";
		this.#queue.value = this.#query.queue ?? "";
	}

	/* ---- where one is ---- */

	/* The address has changed. */
	change(query) {
		const same = ["begins", "only", "space", "queue"].every((name) => this.#query[name] === query[name]);
		this.#query = query;
		this.#put();
		if (!same)
			this.#restart();
		this.#user.again();
	}

	#amend(changes) {
		this.#query = {...this.#query, ...changes};
		amend(this.#shown.table, this.#query);
		this.#show();
	}

	#search() {
		clearTimeout(this.#typing);
		const [begins, space, queue] = [this.#begins.value, this.#space.value, this.#queue.value];
		const query = this.#query;
		if (begins === (query.only || query.begins || "") && space === (query.space ?? "") && queue === (query.queue ?? ""))
			return;
		this.#amend({only: "", begins, space, queue, open: ""});
		this.#restart();
		this.#user.again();
	}

	#restart() {
		this.#after = [null];
		this.#next = null;
	}

	#turn(by) {
		if (by < 0 ? this.#after.length === 1 : this.#next === null)
			return;
		if (by < 0)
			this.#after.pop();
		else
			this.#after.push(this.#next);
		this.#next = null;
		this.#amend({open: ""});
		this.#user.again();
	}

	/* ---- rows ---- */

	#asked() {
		const {only, begins, space, queue} = this.#query;
		const name = only || (this.#shown.exact ? begins : "");
		return {limit: ROWS, after: this.#after.at(-1), space, queue, name, prefix: name ? "" : begins};
	}

	/* Asks for the rows again. */
	async refresh() {
		const asked = this.#asked();
		let got;
		try {
			got = await page(this.#shown.table, asked);
		} catch (e) {
			if (e.status !== 400 || asked.after === null)
				throw e;
			this.#restart(); /* the cursor is from before the broker's start */
			return this.refresh();
		}
		if (JSON.stringify(this.#asked()) !== JSON.stringify(asked))
			return; /* somebody was faster */
		this.#rows = got.rows;
		this.#page = this.#after.length;
		this.#next = got.next;
		this.#show();
	}

	#show() {
		this.#table.show(this.#rows, this.#query.sort);
		this.#newer.disabled = this.#after.length === 1;
		this.#older.disabled = this.#next === null;
		say(this.#said, this.#count());
		say(this.#none, this.#why());
		this.#none.hidden = this.#rows.length > 0;
		this.#picked();
		this.#detailed();
	}

	/* Why there are no rows. */
	#why() {
		const {begins, only, space, queue} = this.#query;
		if (this.#next !== null)
			return "Nothing so far: Next looks further.";
		if (this.#shown.exact && !begins && !only)
			return "They are shown by their whole name.";
		return begins || only || space || queue ? "Nothing is found." : "There are none.";
	}

	#count() {
		const n = number(this.#rows.length);
		const many = this.#next !== null || this.#page > 1;
		if (this.#rows.length === 0)
			return many ? `Page ${this.#page}` : "";
		if (!many)
			return `${n} in all`;
		return `Page ${this.#page}: ${n} rows${this.#query.sort ? ", sorted among themselves" : ""}`;
	}

	/* ---- details ---- */

	#open(row) {
		this.#amend({open: this.#table.keyOf(row)});
		this.#detail?.node.focus();
	}

	#close() {
		this.#amend({open: ""});
		this.#table.focus();
	}

	#detailed() {
		const key = this.#query.open || null;
		const row = key !== null ? this.#table.rowOf(key) : null;
		if (key === null) {
			this.#detail = null;
			fill(this.#side);
		} else if (this.#detail === null || this.#detail.key !== key) {
			if (row === null)
				return;
			const deeds = (this.#manage ? DEEDS[this.#shown.table] ?? [] : []).map((deed) => ({...deed, run: (r) => this.#do(deed, r)}));
			this.#detail = new Detail(this.#shown, row, this.#tables, deeds, {close: () => this.#close()});
			this.#detail.key = key;
			fill(this.#side, this.#detail.node);
		} else {
			this.#detail.show(row);
		}
		this.node.classList.toggle("with-detail", this.#detail !== null);
		this.#table.mark(key);
	}

	async #do(deed, row) {
		if (await deed.run(row))
			this.#user.again();
	}

	/* ---- dead letters ---- */

	#picked() {
		if (this.#redrive === null)
			return;
		const n = this.#table.picked.length;
		this.#redrive.disabled = n === 0;
		say(this.#redrive, n === 0 ? "Redrive…" : `Redrive ${number(n)}…`);
	}

	/* A deed is of one queue; those of several queues are asked about one after the other. */
	async #redrivePicked() {
		const queues = Map.groupBy(this.#table.picked, (row) => row.queue);
		for (const [queue, rows] of queues)
			if (!await redrive(rows[0].space, queue, rows.map((row) => row.letter)))
				return; /* what is picked stays so */
		this.#table.pickAll(false);
		this.#user.again();
	}

	/* ---- keys ---- */

	#key(e) {
		if (e.key !== "Escape")
			return;
		if (e.target === this.#begins || e.target === this.#space || e.target === this.#queue) {
			e.target.value = "";
			this.#search();
			this.#table.focus();
		} else if (this.#query.open) {
			this.#close();
		}
	}

	/* A key that nothing else has taken; true: it means something here. */
	key(name) {
		if (name === "/")
			this.#begins.select();
		else if (name === "n" || name === "p")
			this.#turn(name === "n" ? 1 : -1);
		else if (name === "ArrowDown" || name === "j")
			this.#table.focus();
		else if (name === "Escape" && this.#query.open)
			this.#close();
		else
			return false;
		return true;
	}

	leave() {
		clearTimeout(this.#typing);
	}
}
