/* What of a row a person should see at once: {tone: "bad", "warn" or "calm", text, why}. */
import {bytes, number, span} from "./format.js";

export const OLD_MS = 60000; /* a message that waits for longer is old */

const ENDS = new Set(["dead", "dead-others", "delayed"]); /* queues in which messages are meant to stay */

function sum(counts) {
	return Object.values(counts ?? {}).reduce((all, n) => all + n, 0);
}

function queue(row) {
	const found = [];
	if (row.full)
		found.push({tone: "bad", text: "full", why: "has no room for a small message"});
	if (ENDS.has(row.kind))
		return found;
	if (row.paused)
		found.push({tone: "warn", text: "paused", why: "nothing of it is handed out"});
	else if (row.depth > 0 && row.lonely !== null)
		found.push({tone: "warn", text: `nobody takes, ${span(row.lonely)}`,
			why: "messages wait, and nobody is there to take them"});
	if (row.age > OLD_MS)
		found.push({tone: "warn", text: `oldest ${span(row.age)}`,
			why: "so long the oldest message has been seen waiting"});
	if (sum(row.refused) > 0)
		found.push({tone: "calm", text: `${number(sum(row.refused))} refused`,
			why: "publishes that were refused because of it, since the broker's start"});
	return found;
}

function session(row) {
	const found = [];
	if (row.state !== "attached")
		found.push({tone: row.queued > 0 ? "warn" : "calm", text: row.state === "detached" ? "away" : row.state,
			why: {detached: "its client is not connected", grace: "its link was lost a moment ago",
				attaching: "its client is about to be there"}[row.state] ?? ""});
	if (row.pending > 0)
		found.push({tone: "warn", text: `${number(row.pending)} pending`,
			why: "messages for which its client has no room yet"});
	return found;
}

function link(row) {
	const found = [];
	if (row.slow)
		found.push({tone: "bad", text: "slow", why: "so much waits to be written that its sessions wait, too"});
	if (row.waiting > 0)
		found.push({tone: row.slow ? "bad" : "warn", text: `${bytes(row.waiting)} wait`, why: "not written yet"});
	if (row.leaving)
		found.push({tone: "calm", text: "moving", why: "has been asked to move"});
	return found;
}

function space(row) {
	return (row.full ?? []).map((what) => ({tone: "bad", text: `full: ${what.replaceAll("_", " ")}`,
		why: "its share, or the broker's total, is used up"}));
}

const OF = {queues: queue, sessions: session, links: link, spaces: space};

/* Those of a row of a table. */
export function marks(table, row) {
	return OF[table]?.(row) ?? [];
}
