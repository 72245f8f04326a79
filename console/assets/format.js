/* Values as people read them: numbers with units, times relative to now, names without tricks. */

const NONE = "–";

const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const short = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 3});
const exactly = new Intl.DateTimeFormat("en-GB", {dateStyle: "medium", timeStyle: "long"});

/* Controls, what turns the direction of text, what has no width, and halves of characters. */
const UNSEEN =
	/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udfff]/gu;

function escaped(found) {
	return [...found].map((c) => {
		const code = c.codePointAt(0);
		return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
	}).join("");
}

/* A name from somebody else: what cannot be seen is written out, as \u202e. */
export function visible(text) {
	return text.replace(UNSEEN, escaped);
}

export function number(n) {
	return n === null || n === undefined ? NONE : whole.format(n);
}

/* 1,234 as it is, 12.3M where there is little room. */
export function compact(n) {
	return Math.abs(n) < 100000 ? whole.format(n) : short.format(n);
}

export function bytes(n) {
	if (n === null || n === undefined)
		return NONE;
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
	let i = 0;
	while (n >= 1024 && i < units.length - 1) {
		n /= 1024;
		i++;
	}
	return `${i === 0 || n >= 100 ? whole.format(n) : n.toFixed(1)} ${units[i]}`;
}

/* A length of time, in its two largest units. */
export function span(ms) {
	if (ms === null || ms === undefined)
		return NONE;
	if (ms < 1000)
		return ms === 0 ? "0s" : `${Math.round(ms)}ms`;
	const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
	let s = Math.floor(ms / 1000);
	const parts = [];
	for (const [name, size] of units) {
		if (s >= size && parts.length < 2)
			parts.push(`${Math.floor(s / size)}${name}`);
		else if (parts.length > 0)
			break;
		s %= size;
	}
	return parts.join(" ");
}

/* "4m 10s ago", or "in 55m". */
function relative(ms, now = Date.now()) {
	if (ms === null || ms === undefined)
		return NONE;
	const away = Math.abs(ms - now);
	if (away < 1000)
		return "now";
	return ms > now ? `in ${span(away)}` : `${span(away)} ago`;
}

/* The same time in full, for a title. */
export function exact(ms) {
	return ms === null || ms === undefined ? "" : exactly.format(new Date(ms));
}

export function rate(perSecond) {
	if (perSecond === null)
		return NONE;
	if (perSecond > 0 && perSecond < 10)
		return perSecond.toFixed(1);
	return compact(perSecond);
}

/* {"queue-full": 3} as "queue-full 3". */
function counts(value) {
	const all = Object.entries(value ?? {});
	return all.length === 0 ? NONE : all.map(([name, n]) => `${visible(name)} ${number(n)}`).join(", ");
}

/* The broker's name of a table or a column, for people: "Dead letters". */
export function titled(name) {
	const text = name.replaceAll(/[-_]/g, " ");
	return text[0].toUpperCase() + text.slice(1);
}

/* A value of the view by its column's type and unit. */
export function value(of, column) {
	if (of === null || of === undefined)
		return NONE;
	switch (column.type) {
	case "number":
		if (column.unit === "bytes")
			return bytes(of);
		return column.unit === "s" ? span(of * 1000) : number(of);
	case "truth":
		return of ? "yes" : "no";
	case "time":
		return relative(of);
	case "span":
		return span(of);
	case "counts":
		return counts(of);
	case "texts":
		return of.length === 0 ? NONE : of.map(visible).join(", ");
	default:
		return visible(String(of));
	}
}

/* What a title adds to a value: the whole of what the cell cuts or rounds. */
export function title(of, column) {
	if (of === null || of === undefined)
		return "";
	if (column.type === "time")
		return exact(of);
	if (column.type === "number" && column.unit === "bytes")
		return `${number(of)} bytes`;
	if (column.type === "text")
		return visible(String(of)).slice(0, 1000);
	return "";
}

const PLAIN = /^[A-Za-z0-9_@%+=:,./~-]+$/;

/* A word of a command line for bash, whatever is in it. */
export function shell(text) {
	if (PLAIN.test(text) && !text.startsWith("~"))
		return text;
	if (visible(text) === text)
		return `'${text.replaceAll("'", "'\\''")}'`;
	const quoted = [...new TextEncoder().encode(text)].map((byte) =>
		byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c
			? String.fromCharCode(byte)
			: `\\x${byte.toString(16).padStart(2, "0")}`);
	return `$'${quoted.join("")}'`;
}
