/* The console: puts the parts together.
 *
 *   address --#--> page --refresh()--> view.js --> ask.js --> the broker's admin endpoint
 *
 * Modules look down only: app > browse, overview, slow > detail, table, deeds, gate, menu > view,
 * metrics, dialog, notice, spark > ask, chip, marks, route, poll, scheme, keys, tables > dom, format.
 *
 * A page is {node, everyMs, refresh(), change(query), key(name), leave()}: it has its own element,
 * asks for what it shows, and throws what the broker refuses. */
import {Away, text} from "./ask.js";
import {Browse} from "./browse.js";
import {help} from "./dialog.js";
import {el, fill} from "./dom.js";
import {visible} from "./format.js";
import {Banner, Freshness, gate} from "./gate.js";
import {listen} from "./keys.js";
import {Menu} from "./menu.js";
import {EVERY_MS, History} from "./metrics.js";
import {node as notices} from "./notice.js";
import {Overview} from "./overview.js";
import {Poll, isPaused} from "./poll.js";
import {go, read} from "./route.js";
import {Slow} from "./slow.js";
import {listed} from "./tables.js";
import {rights} from "./view.js";

const AWAY_MS = 4000;  /* until a broker that did not answer is asked again */
const READY_EVERY = 3; /* samples of the metrics between two looks at /readyz */

const KEYS = [["/", "search"], ["g o", "overview"], ["g w", "who is slow"], ["n", "next page"], ["p", "previous page"],
	["↑ ↓", "rows, as k and j"], ["Enter", "details of a row"], ["x", "pick a dead letter"],
	["Esc", "close, clear"], [".", "ask again now"], ["?", "this list"]];

class App {
	#history = new History();
	#fresh = new Freshness();
	#trouble = new Banner("bad");   /* with asking */
	#attention = new Banner("warn"); /* what the broker says of itself */
	#main = el("main", {id: "main", tabindex: -1});
	#menu = new Menu(this.#fresh.node, () => this.#help());
	#shown = null;  /* of tables.js; null: not known yet */
	#names = null;  /* of the tables that may be seen */
	#manage = false; /* deeds may be done */
	#page = null;
	#at = null;     /* its name */
	#poll;
	#shut = false;  /* a person is waited for: a token, or another page */
	#samples = 0;

	constructor() {
		document.body.append(el("a", {class: "skip", href: "#main", on: {
			click: (e) => {
				e.preventDefault();
				this.#main.focus();
			},
		}}, "To the content"), this.#menu.node, el("div", {class: "content"}, this.#trouble.node, this.#attention.node, this.#main), notices);
		addEventListener("hashchange", () => this.#arrive());
		listen({go: (letter) => this.#jump(letter), key: (name) => this.#key(name)});
		this.#poll = new Poll(AWAY_MS, () => this.#refresh());
		new Poll(EVERY_MS, () => this.#sample());
	}

	/* ---- what is asked ---- */

	async #refresh() {
		if (this.#shut)
			return AWAY_MS;
		const page = this.#page;
		try {
			if (this.#shown === null)
				await this.#learn();
			await this.#page.refresh();
			this.#well();
			return this.#page.everyMs;
		} catch (e) {
			if (page !== null && page !== this.#page)
				return 0; /* of a page that has been left */
			return this.#fail(e);
		}
	}

	/* Which tables there are, for whoever looks. */
	async #learn() {
		const {tables: all, manage} = await rights();
		this.#manage = manage === true;
		this.#names = new Set(all.map((t) => t.table));
		this.#shown = listed(all);
		this.#menu.show([{page: "overview", title: "Overview", jump: "o"}, {page: "slow", title: "Who is slow", jump: "w"},
			...this.#shown.map((s) => ({page: s.table, title: s.title, jump: s.jump}))]);
		this.#open(read());
	}

	async #sample() {
		try {
			await this.#history.take();
			if (this.#samples++ % READY_EVERY === 0)
				await this.#ready();
		} catch (e) {
			if (!(e instanceof Away))
				console.error(e);
			this.#samples = 0; /* the pages say that nobody answers */
		}
		this.#menu.version(this.#history.version);
		this.#page?.sampled?.();
	}

	/* What the broker says of itself: why it is not ready, or what needs attention. */
	async #ready() {
		const {status, text: said} = await text("readyz");
		const lines = said.split("\n").filter((line) => line !== "" && line !== "ok");
		this.#attention.show(lines.length === 0 ? ""
			: `${status === 200 ? "Needs attention" : "Not ready"}: ${lines.map(visible).join("; ").slice(0, 1000)}`);
	}

	/* ---- how it went ---- */

	#well() {
		this.#fresh.show(isPaused() ? "calm" : "good", isPaused() ? "Paused" : "Live");
		this.#trouble.show("");
		this.#main.classList.remove("stale");
		this.#main.removeAttribute("aria-busy");
	}

	/* Returns the time in ms until it is tried again. */
	#fail(e) {
		if (e.status === undefined && !(e instanceof Away)) {
			this.#fresh.show("bad", "Failed", String(e));
			console.error(e); /* a fault of the page's own */
			return AWAY_MS;
		}
		if (e.status === 401 || e.status === 403) {
			this.#shut = true;
			this.#trouble.show("");
			this.#fresh.show("warn", e.status === 401 ? "Wants a token" : "Not allowed", e.message);
			this.#gate(e);
		} else {
			this.#fresh.show(e instanceof Away ? "bad" : "warn", e instanceof Away ? "No answer" : "Busy", e.message);
			this.#trouble.show(e instanceof Away ? "The broker does not answer. It is asked again."
				: `The broker says: ${e.message}. It is asked again.`);
			this.#main.classList.add("stale");
			this.#shut = e.status === 404;
			if (this.#shown === null || this.#shut)
				this.#gate(e);
		}
		return AWAY_MS;
	}

	#gate(e) {
		this.#leave();
		this.#main.removeAttribute("aria-busy");
		const panel = gate(e, () => this.#unlock());
		fill(this.#main, panel);
		panel.querySelector("input")?.focus();
	}

	#unlock() {
		this.#shut = false;
		this.#shown = null;
		this.#poll.now();
	}

	/* ---- where one is ---- */

	#leave() {
		this.#page?.leave();
		this.#page = null;
		this.#at = null;
	}

	#make(page, query) {
		if (page === "slow")
			return new Slow(this.#names);
		const shown = this.#shown.find((s) => s.table === page);
		if (shown !== undefined)
			return new Browse(shown, this.#names, query, this.#manage, {again: () => this.#poll.now()});
		return new Overview(this.#names, this.#history);
	}

	#open({page, query}) {
		this.#leave();
		this.#page = this.#make(page, query);
		this.#at = page;
		this.#main.classList.remove("stale");
		this.#main.setAttribute("aria-busy", "true");
		fill(this.#main, this.#page.node);
		this.#menu.at(page);
		document.title = `${this.#main.querySelector("h1").textContent} · SQMQOS`;
		scrollTo(0, 0);
	}

	/* The address has changed. */
	#arrive() {
		const at = read();
		if (this.#shown === null)
			return;
		this.#shut = false;
		if (at.page === this.#at) {
			this.#page.change(at.query);
			this.#menu.toggle(false);
			return;
		}
		this.#open(at);
		this.#main.focus({preventScroll: true});
		this.#poll.now();
	}

	/* ---- keys ---- */

	#jump(letter) {
		const to = {o: "overview", w: "slow"}[letter] ?? this.#shown?.find((s) => s.jump === letter)?.table;
		if (to !== undefined)
			go(to);
		return to !== undefined;
	}

	#key(name) {
		if (name === "?")
			this.#help();
		else if (name === ".")
			this.#poll.now();
		else
			return this.#page?.key(name) ?? false;
		return true;
	}

	#help() {
		help([...KEYS, ...(this.#shown ?? []).filter((s) => s.jump).map((s) => [`g ${s.jump}`, s.title.toLowerCase()])]);
	}
}

new App();
