/* A table of rows: sorted by its heads, walked by the keyboard, opened by Enter or a click.
 *
 * It shows the rows that it is given and asks for none.  A row keeps its element while it is shown,
 * so the focus stays where it is when values change. */
import {chip} from "./chip.js";
import {el, fill, say} from "./dom.js";
import {titled, title, value} from "./format.js";
import {marks} from "./marks.js";

/* Numbers and spans before texts; what is not known at the end, whichever way. */
function compare(a, b, down) {
	if (a === b)
		return 0;
	if (a === null || a === undefined)
		return 1;
	if (b === null || b === undefined)
		return -1;
	const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en");
	return down ? -order : order;
}

/* "-depth": by depth, the most first. */
export function sorted(rows, sort) {
	if (!sort)
		return rows;
	const down = sort.startsWith("-");
	const name = sort.replace(/^-/, "");
	return [...rows].sort((a, b) => compare(a[name], b[name], down));
}

function isFigure(column) {
	return column.type === "number" || column.type === "span" || column.type === "time";
}


export class Table {
	#shown;
	#user;
	#rows = new Map(); /* key: {row, node, cells, marks, box} */
	#body = el("tbody", {role: "rowgroup"});
	#heads = new Map(); /* column: th */
	#picked = new Set();
	#current = null; /* key of the row that Tab leads to */
	#order = "";     /* by which they are sorted */

	/* user: {open(row), sort(text), pick() or undefined: rows can't be picked} */
	constructor(shown, user) {
		this.#shown = shown;
		this.#user = user;
		this.node = el("table", {role: "grid", "aria-label": shown.title, class: "rows",
			on: {keydown: (e) => this.#key(e)}},
		el("thead", {role: "rowgroup"}, el("tr", {role: "row"},
			user.pick ? el("th", {role: "columnheader", class: "pick"},
				el("span", {class: "unseen"}, "Picked")) : null,
			...shown.columns.map((column) => this.#head(column)))),
		this.#body);
	}

	#head(column) {
		const head = el("th", {role: "columnheader", class: this.#classOf(column), scope: "col"},
			el("button", {type: "button", title: column.help, on: {click: () => this.#sort(column)}},
				titled(column.column)));
		this.#heads.set(column.column, head);
		return head;
	}

	#classOf(column) {
		if (isFigure(column))
			return "figure";
		return this.#shown.wide.includes(column.column) ? "wide" : "";
	}

	#sort(column) {
		const now = this.#heads.get(column.column).getAttribute("aria-sort");
		const first = isFigure(column) ? "descending" : "ascending";
		const down = now === null ? first === "descending" : now === "ascending";
		this.#user.sort(now !== null && now !== first ? "" : `${down ? "-" : ""}${column.column}`);
	}

	keyOf(row) {
		return JSON.stringify(this.#shown.key.map((name) => row[name]));
	}

	/* The rows that are picked, of those that are shown. */
	get picked() {
		return [...this.#rows].filter(([key]) => this.#picked.has(key)).map(([, line]) => line.row);
	}

	rowOf(key) {
		return this.#rows.get(key)?.row ?? null;
	}

	show(rows, sort) {
		const focused = this.#focused();
		if (focused === null && this.#order !== (sort ?? ""))
			this.#current = null; /* whoever comes begins at the top */
		this.#order = sort ?? "";
		const before = this.#rows;
		this.#rows = new Map();
		for (const row of sorted(rows, sort)) {
			let key = this.keyOf(row);
			while (this.#rows.has(key))
				key += "+"; /* as refusals that several workers have */
			const line = before.get(key) ?? this.#line(key);
			this.#update(line, row);
			this.#rows.set(key, line);
		}
		this.#place([...this.#rows.values()].map((line) => line.node));
		this.#picked = new Set([...this.#picked].filter((key) => this.#rows.has(key)));
		this.#roam(this.#rows.has(this.#current) ? this.#current : this.#rows.keys().next().value ?? null);
		if (focused !== null && this.#focused() === null)
			this.focus();
		for (const [name, head] of this.#heads) {
			if (sort?.replace(/^-/, "") === name)
				head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
			else
				head.removeAttribute("aria-sort");
		}
	}

	/* Marks the row whose details are shown; null: none. */
	mark(key) {
		for (const [own, line] of this.#rows)
			line.node.classList.toggle("open", own === key);
	}

	/* Puts the focus on the current row. */
	focus() {
		this.#rows.get(this.#current)?.node.focus();
	}

	pickAll(all) {
		this.#picked = new Set(all ? this.#rows.keys() : []);
		for (const [key, line] of this.#rows)
			line.box.checked = this.#picked.has(key);
		this.#user.pick();
	}

	#focused() {
		for (const [key, line] of this.#rows)
			if (line.node.contains(document.activeElement))
				return key;
		return null;
	}

	/* Moves what is not in its place, and nothing else. */
	#place(nodes) {
		nodes.forEach((node, i) => {
			if (this.#body.children[i] !== node)
				this.#body.insertBefore(node, this.#body.children[i] ?? null);
		});
		while (this.#body.children.length > nodes.length)
			this.#body.lastChild.remove();
	}

	#line(key) {
		const cells = this.#shown.columns.map((column, i) => el("td", {
			role: "gridcell",
			class: i === 0 ? "first" : isFigure(column) ? "figure" : "",
			"data-label": titled(column.column),
		}, el("bdi")));
		const line = {cells, marks: el("span", {class: "marks"}), row: null, box: null};
		cells[0].append(line.marks);
		if (this.#user.pick)
			line.box = el("input", {type: "checkbox", "aria-label": "Pick this row", tabindex: -1,
				on: {click: (e) => e.stopPropagation(), change: () => this.#pick(key)}});
		line.node = el("tr", {role: "row", tabindex: -1, on: {
			click: () => {
				if (getSelection().isCollapsed)
					this.#user.open(line.row);
			},
			focus: () => this.#roam(key),
		}},
		line.box ? el("td", {role: "gridcell", class: "pick"}, line.box) : null, ...cells);
		return line;
	}

	#update(line, row) {
		this.#shown.columns.forEach((column, i) => {
			const bdi = line.cells[i].firstChild;
			const said = value(row[column.column], column);
			const more = title(row[column.column], column);
			say(bdi, said.length > 400 ? `${said.slice(0, 400)}…` : said);
			if (line.cells[i].title !== more)
				line.cells[i].title = more;
		});
		const now = marks(this.#shown.table, row);
		if (now.map((m) => m.text).join() !== [...line.marks.children].map((n) => n.textContent).join())
			fill(line.marks, now.map(chip));
		line.row = row;
	}

	#roam(key) {
		this.#current = key;
		for (const [own, line] of this.#rows)
			line.node.tabIndex = own === key ? 0 : -1;
	}

	#pick(key) {
		if (!this.#picked.delete(key))
			this.#picked.add(key);
		this.#rows.get(key).box.checked = this.#picked.has(key);
		this.#user.pick();
	}

	#step(key, by) {
		const keys = [...this.#rows.keys()];
		const to = Math.max(0, Math.min(keys.length - 1, keys.indexOf(key) + by));
		this.#rows.get(keys[to])?.node.focus();
	}

	#key(e) {
		const key = this.#focused();
		const steps = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10,
			Home: -Infinity, End: Infinity};
		if (key === null || e.ctrlKey || e.metaKey || e.altKey)
			return;
		if (e.key in steps)
			this.#step(key, steps[e.key]);
		else if (e.key === "Enter")
			this.#user.open(this.#rows.get(key).row);
		else if ((e.key === " " || e.key === "x") && this.#user.pick)
			this.#pick(key);
		else
			return;
		e.preventDefault();
		e.stopPropagation();
	}
}
