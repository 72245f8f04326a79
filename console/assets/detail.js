/* All that is known of one row, what it leads to, and what can be done with it. */
import {chip} from "./chip.js";
import {el, fill, say} from "./dom.js";
import {shell, title, titled, value, visible} from "./format.js";
import {marks} from "./marks.js";
import {write} from "./route.js";

/* A command for a terminal, to be copied. */
function command(words) {
	const text = ["sqmqos", ...words].map(shell).join(" ");
	const button = el("button", {type: "button", on: {
		async click() {
			try {
				await navigator.clipboard.writeText(text);
				say(button, "Copied");
			} catch {
				getSelection().selectAllChildren(code); /* the page may not: the keys can */
				say(button, "Selected");
			}
		},
	}}, "Copy");
	const code = el("code", {}, text);
	return el("div", {class: "command"}, code, button);
}

export class Detail {
	#shown;
	#values = new Map(); /* column: its element */
	#marks = el("p", {class: "marks"});
	#deeds;

	/* user: {close()}; deeds: [{text, when(row), run(row)}] */
	constructor(shown, row, tables, deeds, user) {
		this.#shown = shown;
		this.#deeds = deeds.map((deed) => ({...deed,
			node: el("button", {type: "button", class: "danger", on: {click: () => deed.run(this.row)}}, deed.text)}));
		const words = shown.command(row);
		this.node = el("aside", {class: "detail", "aria-label": "Details", tabindex: -1},
			el("header", {},
				el("h2", {}, el("bdi", {}, visible(String(row[shown.columns[0].column] ?? "")))),
				el("button", {type: "button", class: "close", "aria-label": "Close details",
					on: {click: () => user.close()}}, "×")),
			this.#marks,
			this.#links(row, tables),
			el("div", {class: "buttons"}, ...this.#deeds.map((deed) => deed.node)),
			words !== null ? command(words) : null,
			el("dl", {}, ...shown.all.flatMap((column) => this.#pair(column))));
		this.show(row);
	}

	#links(row, tables) {
		const to = this.#shown.to.filter((t) => tables.has(t.table) && (t.when?.(row) ?? true));
		return to.length === 0 ? null : el("nav", {class: "leads", "aria-label": "Leads to"},
			...to.map((t) => el("a", {href: write(t.table, t.query(row))}, t.text)));
	}

	#pair(column) {
		const own = el("bdi");
		this.#values.set(column, own);
		return [el("dt", {title: column.help}, titled(column.column)), el("dd", {}, own)];
	}

	/* The same row, as it is now; null: it is gone. */
	show(row) {
		this.node.classList.toggle("gone", row === null);
		if (row === null) {
			fill(this.#marks, chip({tone: "calm", text: "no longer here", why: "it is gone, or on another page"}));
			return;
		}
		this.row = row;
		for (const [column, own] of this.#values) {
			say(own, value(row[column.column], column));
			own.title = title(row[column.column], column);
		}
		fill(this.#marks, marks(this.#shown.table, row).map(chip));
		for (const deed of this.#deeds)
			deed.node.hidden = !deed.when(row);
	}
}
