/* How the tables of the view are shown.  One that is not here is shown as the broker describes it. */
import {titled} from "./format.js";

/* key: what tells rows apart.  columns: those of the list, the first one the widest; wide: of the others.  jump: "g" and this
 * letter.  to: other tables that a row leads to, with what is asked there. */
const KNOWN = {
	queues: {
		title: "Queues", jump: "q", key: ["queue"],
		columns: ["queue", "kind", "depth", "bytes", "age", "members"],
		to: [{table: "sessions", text: "Its session", when: (row) => row.kind === "session",
			query: (row) => ({only: row.queue})},
		{table: "subscriptions", text: "Its subscriptions", when: (row) => row.kind === "session",
			query: (row) => ({only: row.queue})},
		{table: "dead-letters", text: "The letters", query: (row) => ({only: row.queue}),
			when: (row) => row.kind === "dead" || row.kind === "dead-others"}],
		command: (row) => ["queues", "show", row.queue],
	},
	sessions: {
		title: "Sessions", jump: "s", key: ["session"],
		columns: ["session", "since", "subscriptions", "inflight", "pending", "queued"],
		to: [{table: "queues", text: "Its queue", query: (row) => ({only: row.session})},
			{table: "subscriptions", text: "Its subscriptions", query: (row) => ({only: row.session})}],
		command: (row) => ["sessions", "show", row.session],
	},
	subscriptions: {
		title: "Subscriptions", jump: "u", key: ["session", "filter", "tag", "kind", "queue"],
		columns: ["session", "filter", "kind", "qos", "queue"], wide: ["filter", "queue"],
		to: [{table: "sessions", text: "Its session", query: (row) => ({only: row.session})},
			{table: "queues", text: "Its queue", query: (row) => ({only: row.queue})}],
		command: (row) => (/[#+]/.test(row.filter) ? null : why(row.filter, row.space)),
	},
	"dead-letters": {
		title: "Dead letters", jump: "d", key: ["queue", "letter"],
		columns: ["topic", "letter", "cause", "from", "died", "bytes"], wide: ["from"],
		to: [{table: "queues", text: "The queue it was in", query: (row) => ({only: row.from}),
			when: (row) => Boolean(row.from)}],
		command: (row) => why(row.topic, row.space),
	},
	spaces: {
		title: "Spaces", jump: "p", key: ["space"],
		columns: ["space", "sessions", "connections", "subscriptions", "dead_letters", "stored_bytes", "memory"],
		to: [{table: "queues", text: "Its queues", query: (row) => ({space: row.space})},
			{table: "sessions", text: "Its sessions", query: (row) => ({space: row.space})},
			{table: "dead-letters", text: "Its dead letters", query: (row) => ({space: row.space})}],
		command: (row) => ["spaces", "show", row.space],
	},
	retained: {
		title: "Retained", jump: "r", key: ["topic", "space"],
		columns: ["topic", "space", "qos", "bytes", "since", "expires"],
	},
	links: {
		title: "Links", jump: "l", key: ["link"], everywhere: true,
		columns: ["peer", "identity", "spaces", "since", "sessions", "delivered", "waiting"],
		command: (row) => ["links", "show", String(row.link)],
	},
};

const ORDER = ["queues", "sessions", "subscriptions", "dead-letters", "retained", "spaces", "links"];

function why(topic, space) {
	return ["why", "--topic", topic, "--space", space];
}

/* A table's description by the broker, and how it is shown. */
export function shown(described) {
	const known = KNOWN[described.table] ?? {};
	const names = described.columns.map((c) => c.column);
	return {
		title: titled(described.table),
		key: names,
		to: [],
		wide: [],
		command: () => null,
		everywhere: !names.includes("space"),
		...known,
		table: described.table,
		help: described.help.replaceAll("`", ""),
		name: described.name,
		all: described.columns,
		columns: (known.columns ?? names.slice(0, 6)).map((name) => described.columns.find((c) => c.column === name))
			.filter(Boolean),
	};
}

/* Those that have a page, in the order of the menu; the store is a part of the overview. */
export function listed(described) {
	const place = (table) => (ORDER.includes(table) ? ORDER.indexOf(table) : ORDER.length);
	return described.filter((t) => t.table !== "store").map(shown)
		.sort((a, b) => place(a.table) - place(b.table));
}
