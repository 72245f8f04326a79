/* How the tables of the view are shown.  One that is not here is shown as the broker describes it. */
import {titled} from "./format.js";

/* key: what tells rows apart.  byQueue: may be asked for one queue's rows; exact: for whole names only.  columns: those of the list, the first one the widest; wide: of the others.  jump: "g" and this
 * letter.  to: other tables that a row leads to, with what is asked there. */
const KNOWN = {
	queues: {
		title: "Queues", jump: "q", key: ["queue"],
		columns: ["queue", "kind", "depth", "leased", "parked", "bytes", "age", "members"],
		to: [{table: "messages", text: "What waits", query: (row) => ({queue: row.queue}), when: (row) => !isDead(row)},
		{table: "deliveries", text: "What is unfinished", query: (row) => ({queue: row.queue}), when: (row) => !isDead(row)},
		{table: "sessions", text: "Its session", when: (row) => row.kind === "session",
			query: (row) => ({only: row.queue})},
		{table: "subscriptions", text: "Its subscriptions", when: (row) => row.kind === "session",
			query: (row) => ({only: row.queue})},
		{table: "bindings", text: "What comes into it", when: (row) => row.kind === "queue",
			query: (row) => ({only: row.queue})},
		{table: "dead-letters", text: "The letters", query: (row) => ({only: row.queue}),
			when: isDead}],
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
	bindings: {
		title: "Bindings", key: ["queue", "id"],
		columns: ["queue", "filter", "tag", "qos", "id"], wide: ["filter", "id"],
		to: [{table: "queues", text: "Its queue", query: (row) => ({only: row.queue})}],
	},
	messages: {
		title: "Messages", jump: "m", key: ["queue", "number"], byQueue: true,
		help: "Messages that wait in memory, in their queues' order; of a long queue, the first ones.",
		columns: ["topic", "queue", "key", "age", "qos", "bytes", "attempts"], wide: ["queue"],
		to: [{table: "queues", text: "Its queue", query: (row) => ({only: row.queue})}],
		command: (row) => why(row.topic, row.space),
	},
	deliveries: {
		title: "Deliveries", jump: "y", key: ["session", "packet"], byQueue: true,
		help: "Deliveries of QoS 1 and 2 that clients have not finished.",
		columns: ["session", "state", "topic", "key", "qos", "attempts"], wide: ["topic"],
		to: [{table: "sessions", text: "Its session", query: (row) => ({only: row.session})},
			{table: "queues", text: "Its queue", query: (row) => ({only: row.queue}), when: (row) => row.queue !== null}],
	},
	refusals: {
		title: "Refusals", jump: "f", key: ["space", "who", "kind", "topic", "queue", "reason"],
		columns: ["who", "kind", "reason", "topic", "count", "last"], wide: ["topic"],
		to: [{table: "queues", text: "The queue", query: (row) => ({only: row.queue}), when: (row) => Boolean(row.queue)}],
	},
	gone: {
		title: "Undelivered", jump: "n", key: ["space", "queue", "topic", "origin", "at"],
		columns: ["topic", "why", "queue", "key", "at"], wide: ["queue"],
		to: [{table: "queues", text: "The queue", query: (row) => ({only: row.queue})}],
		command: (row) => why(row.topic, row.space),
	},
	keys: {
		title: "Keys", jump: "k", key: ["key", "space"], exact: true,
		help: "Idempotency keys, whether one is known: what comes with it again is acknowledged and not stored.",
		columns: ["key", "space", "since", "expires"],
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

const ORDER = ["queues", "sessions", "subscriptions", "bindings", "messages", "deliveries", "dead-letters", "refusals",
	"gone", "retained", "keys", "spaces", "links"];

function isDead(row) {
	return row.kind === "dead" || row.kind === "dead-others";
}

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
		byQueue: false,
		exact: false,
		command: () => null,
		everywhere: !names.includes("space"),
		help: described.help.replaceAll("`", ""),
		...known,
		table: described.table,
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
