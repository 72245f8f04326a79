/* The tables of the broker's view (docs/view.md), page by page. */
import {get} from "./ask.js";

const LOOKS = 8; /* pages of the broker's that one of ours takes at most */

/* What the caller may: {tables: [{table, help, name, columns}], manage: whether deeds, too}. */
export async function rights() {
	return await get("v1/view");
}

function path(table, query) {
	const given = Object.entries(query).filter(([, v]) => v !== "" && v !== null && v !== undefined);
	return `v1/view/${table}?${new URLSearchParams(given)}`;
}

/* Rows of a table, and where they go on (null: they are the last).  A page of the broker's may have
 * fewer rows than were asked for, and none: some more are asked for, not all. */
export async function page(table, {limit, after = null, ...query}) {
	let rows = [];
	for (let looks = 0; looks < LOOKS && rows.length < limit; looks++) {
		const part = await get(path(table, {...query, limit: limit - rows.length, after}));
		rows = rows.concat(part.rows);
		after = part.next;
		if (after === null)
			break;
	}
	return {rows, next: after};
}

/* Looks at the first 5000 rows of a table, or fewer where many are others', with what 'each' does
 * with them: true once it has seen all. */
export async function scan(table, columns, each) {
	let after = null;
	for (let looks = 0; looks < 5; looks++) {
		const part = await get(path(table, {columns: columns.join(","), limit: 1000, after}));
		each(part.rows);
		after = part.next;
		if (after === null)
			return true;
	}
	return false;
}
