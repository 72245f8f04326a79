/* Check of the structure of LMDB's file, before LMDB trusts it.
 *
 * LMDB follows the numbers in its pages without checks: one flipped bit there may hide values, or
 * end the process.  This code walks the trees of the newest head by the file's format (LMDB 0.9,
 * version 1, 64 bits) and never reads outside of a page.  It checks numbers, kinds, bounds, the
 * order of keys, counts, and that no page belongs to two owners, free pages included.  Without
 * 'leaves' it skips the leaves of our databases, which are nearly all of the file. */
#include "broker/engine/embedded/table_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

enum {
	PAGE_HEAD = 16,
	NODE_HEAD = 8,
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	PAGE_OVERFLOW = 4,
	PAGE_META = 8,
	PAGE_KINDS = 0x6f,
	NODE_BIG = 1,
	NODE_TREE = 2,
	TREE_INTEGER_KEYS = 8,
	PAGES_DEPTH_MAX = 32,
	PAGES_TEXTS_MAX = 100, /* faults that are told; all are counted */
};

#define LMDB_MAGIC 0xBEEFC0DEu

/* As in the file: native integers, no padding. */
struct pages_tree {
	uint32_t pad; /* of the first tree: the size of a page */
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};

struct pages_head {
	uint32_t magic, version;
	uint64_t address, map_bytes;
	struct pages_tree free, main;
	uint64_t last, txn;
};

struct pages {
	const char *path;
	const unsigned char *map;
	uint64_t size, page_bytes;
	bool leaves; /* those of our databases, too */
	struct pages_head head;
	unsigned char *owned; /* a bit for each page */
	unsigned faults;
	void (*fault)(void *arg, const char *text);
	void *arg;
};

/* The walk of one tree. */
struct walk {
	struct pages *pages;
	const char *name;
	const struct pages_tree *tree;
	bool visit_leaves;
	uint64_t branches, leaves, overflows, entries;
	void (*entry)(struct walk *, struct sq_bytes key, unsigned flags, struct sq_bytes data);
};

static void pages_fault(struct pages *, const char *fmt, ...) SQ_PRINTF(2, 3);

static void
pages_fault(struct pages *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	if (++p->faults > PAGES_TEXTS_MAX)
		return;
	n = snprintf(text, sizeof text, "%s: ", p->path);
	if (n < 0 || (size_t)n >= sizeof text)
		n = 0;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
	va_end(ap);
	p->fault(p->arg, text);
}

static uint16_t
native16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint32_t
native32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t
native64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* Takes 'n' pages from 'pgno' on for 'who': false, with a fault, where they are not
 * in the file or another's. */
static bool
pages_own(struct pages *p, uint64_t pgno, uint64_t n, const char *who)
{
	if (pgno < 2 || pgno > p->head.last || n > p->head.last - pgno + 1) {
		pages_fault(
		    p, "%s points to page %llu, which it has not", who, (unsigned long long)pgno);
		return false;
	}
	for (uint64_t i = pgno; i < pgno + n; i++) {
		unsigned char bit = (unsigned char)(1u << i % 8);

		if (p->owned[i / 8] & bit) {
			pages_fault(p, "page %llu of %s has another owner, too",
			    (unsigned long long)i, who);
			return false;
		}
		p->owned[i / 8] |= bit;
	}
	return true;
}

static int
walk_compare(const struct walk *w, struct sq_bytes a, struct sq_bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c;

	if (w->tree->flags & TREE_INTEGER_KEYS && a.len == 8 && b.len == 8) {
		uint64_t x = native64(a.p), y = native64(b.p);

		return x < y ? -1 : x > y;
	}
	c = memcmp(a.p, b.p, n);
	return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static bool
walk_bad(struct walk *w, uint64_t pgno, const char *what)
{
	pages_fault(w->pages, "page %llu of '%s': %s", (unsigned long long)pgno, w->name, what);
	return false;
}

/* The number of keys of a page whose head is as it should be; 0: it is not. */
static unsigned
walk_page_head(struct walk *w, uint64_t pgno, unsigned kind)
{
	const unsigned char *page = w->pages->map + pgno * w->pages->page_bytes;
	unsigned lower = native16(page + 12), upper = native16(page + 14);
	bool ok = native64(page) == pgno && (native16(page + 10) & PAGE_KINDS) == kind;

	ok = ok && lower > PAGE_HEAD && lower % 2 == 0 && lower <= upper;
	if (!ok || upper > w->pages->page_bytes) {
		walk_bad(w, pgno, "its head is damaged");
		return 0;
	}
	return (lower - PAGE_HEAD) / 2;
}

/* A node with a key inside its page; 'rest' is the part behind the key in the page. */
static const unsigned char *
walk_node(struct walk *w, uint64_t pgno, unsigned i, struct sq_bytes *key, size_t *rest)
{
	const unsigned char *page = w->pages->map + pgno * w->pages->page_bytes;
	unsigned at = native16(page + PAGE_HEAD + 2 * i), upper = native16(page + 14);
	size_t key_len;

	if (at < upper || at + NODE_HEAD > w->pages->page_bytes) {
		walk_bad(w, pgno, "an offset is damaged");
		return NULL;
	}
	key_len = native16(page + at + 6);
	if (at + NODE_HEAD + key_len > w->pages->page_bytes) {
		walk_bad(w, pgno, "the length of a key is damaged");
		return NULL;
	}
	*key = (struct sq_bytes){page + at + NODE_HEAD, key_len};
	*rest = w->pages->page_bytes - at - NODE_HEAD - key_len;
	return page + at;
}

/* The value of a leaf's node. */
static bool
walk_value(struct walk *w, uint64_t pgno, const unsigned char *node, struct sq_bytes key,
    size_t rest, struct sq_bytes *out)
{
	const uint64_t page_bytes = w->pages->page_bytes;
	size_t len = native16(node) | (size_t)native16(node + 2) << 16;
	const unsigned char *big;
	uint64_t at, n;

	*out = (struct sq_bytes){key.p + key.len, len};
	if (!(native16(node + 4) & NODE_BIG))
		return len <= rest || walk_bad(w, pgno, "the length of a value is damaged");
	if (rest < 8)
		return walk_bad(w, pgno, "the place of a value is damaged");
	at = native64(out->p);
	n = (PAGE_HEAD - 1 + len) / page_bytes + 1;
	w->overflows += n;
	if (!pages_own(w->pages, at, n, w->name))
		return false;
	big = w->pages->map + at * page_bytes;
	out->p = big + PAGE_HEAD;
	if (native64(big) != at || (native16(big + 10) & PAGE_KINDS) != PAGE_OVERFLOW ||
	    native32(big + 12) != n)
		return walk_bad(w, at, "its head is damaged");
	return true;
}

/* 'low' and 'high' bound the keys of the page; without bytes: nothing does. */
static void
walk_leaf(struct walk *w, uint64_t pgno, struct sq_bytes low, struct sq_bytes high)
{
	unsigned n = walk_page_head(w, pgno, PAGE_LEAF);

	for (unsigned i = 0; i < n; i++) {
		struct sq_bytes key, value;
		size_t rest;
		const unsigned char *node = walk_node(w, pgno, i, &key, &rest);

		if (node == NULL || !walk_value(w, pgno, node, key, rest, &value))
			return;
		if ((low.p != NULL && walk_compare(w, key, low) < (i == 0 ? 0 : 1)) ||
		    (high.p != NULL && walk_compare(w, key, high) >= 0)) {
			walk_bad(w, pgno, "its keys are out of order");
			return;
		}
		low = key;
		w->entries++;
		if (w->entry != NULL)
			w->entry(w, key, native16(node + 4), value);
	}
}

static void
walk_page(struct walk *, uint64_t pgno, unsigned depth, struct sq_bytes low, struct sq_bytes high);

static uint64_t
node_child(const unsigned char *node)
{
	return native16(node) | (uint64_t)native16(node + 2) << 16 |
	    (uint64_t)native16(node + 4) << 32;
}

/* Has the pages below a branch read together: they lie anywhere in the file. */
static void
walk_ahead(struct walk *w, uint64_t pgno, unsigned n)
{
	const struct pages *p = w->pages;

	for (unsigned i = 0; i < n; i++) {
		struct sq_bytes key;
		size_t rest;
		const unsigned char *node = walk_node(w, pgno, i, &key, &rest);

		if (node == NULL)
			return;
		if (node_child(node) <= p->head.last)
			madvise((void *)(uintptr_t)(p->map + node_child(node) * p->page_bytes),
			    p->page_bytes, MADV_WILLNEED);
	}
}

static void
walk_branch(
    struct walk *w, uint64_t pgno, unsigned depth, struct sq_bytes low, struct sq_bytes high)
{
	unsigned n = walk_page_head(w, pgno, PAGE_BRANCH);

	if (depth > 2 || w->visit_leaves)
		walk_ahead(w, pgno, n);
	for (unsigned i = 0; i < n; i++) {
		struct sq_bytes key, next = high;
		const unsigned char *node;
		size_t rest;

		if (i + 1 < n && walk_node(w, pgno, i + 1, &next, &rest) == NULL)
			return;
		node = walk_node(w, pgno, i, &key, &rest);
		if (node == NULL)
			return;
		/* The first key stands for everything below the second. */
		if (i == 0)
			key = low;
		if (key.p != NULL && next.p != NULL && walk_compare(w, key, next) >= 0) {
			walk_bad(w, pgno, "its keys are out of order");
			return;
		}
		walk_page(w, node_child(node), depth - 1, key, next);
	}
}

static void
walk_page(struct walk *w, uint64_t pgno, unsigned depth, struct sq_bytes low, struct sq_bytes high)
{
	if (!pages_own(w->pages, pgno, 1, w->name))
		return;
	if (depth > 1) {
		w->branches++;
		walk_branch(w, pgno, depth, low, high);
		return;
	}
	w->leaves++;
	if (w->visit_leaves)
		walk_leaf(w, pgno, low, high);
}

static void
walk_tree(struct walk *w)
{
	const struct pages_tree *t = w->tree;
	unsigned faults = w->pages->faults;
	bool same;

	if (t->depth > PAGES_DEPTH_MAX || (t->depth == 0) != (t->root == UINT64_MAX)) {
		pages_fault(w->pages, "the root of '%s' is damaged", w->name);
		return;
	}
	if (t->depth > 0)
		walk_page(w, t->root, t->depth, (struct sq_bytes){0}, (struct sq_bytes){0});
	same = w->branches == t->branches && w->leaves == t->leaves;
	if (w->visit_leaves)
		same = same && w->overflows == t->overflows && w->entries == t->entries;
	if (!same && w->pages->faults == faults)
		pages_fault(w->pages,
		    "'%s' does not have as many pages and entries as its root says", w->name);
}

/* A list of free pages: their number, then each. */
static void
pages_free_entry(struct walk *w, struct sq_bytes key, unsigned flags, struct sq_bytes data)
{
	uint64_t n = data.len >= 8 ? native64(data.p) : UINT64_MAX;

	(void)flags;
	if (key.len != 8 || n > data.len / 8 - 1) {
		pages_fault(w->pages, "a list of free pages is damaged");
		return;
	}
	for (uint64_t i = 1; i <= n; i++)
		if (!pages_own(w->pages, native64(data.p + 8 * i), 1, w->name))
			return;
}

static bool
pages_is_ours(struct sq_bytes name)
{
	for (int i = 0; i < TABLE_DBS; i++)
		if (strlen(sq_table_db_names[i]) == name.len &&
		    memcmp(sq_table_db_names[i], name.p, name.len) == 0)
			return true;
	return false;
}

/* A database's name and root.  Of somebody else's nothing is known but the tree. */
static void
pages_main_entry(struct walk *w, struct sq_bytes key, unsigned flags, struct sq_bytes data)
{
	char name[32];
	struct pages_tree tree;
	struct walk sub = {.pages = w->pages, .name = name, .tree = &tree};

	if (!(flags & NODE_TREE) || data.len != sizeof tree || !pages_is_ours(key))
		return;
	snprintf(name, sizeof name, "%.*s", (int)key.len, (const char *)key.p);
	memcpy(&tree, data.p, sizeof tree);
	if (tree.flags != 0) {
		pages_fault(w->pages, "the root of '%s' is damaged", name);
		return;
	}
	sub.visit_leaves = w->pages->leaves;
	walk_tree(&sub);
}

/* --- the two heads --- */

static bool
pages_head_read(struct pages *p, uint64_t at, struct pages_head *out)
{
	if (at + PAGE_HEAD + sizeof *out > p->size)
		return false;
	memcpy(out, p->map + at + PAGE_HEAD, sizeof *out);
	return out->magic == LMDB_MAGIC && out->version == 1 &&
	    (native16(p->map + at + 10) & PAGE_KINDS) == PAGE_META;
}

static bool
pages_heads(struct pages *p)
{
	struct pages_head other;
	uint64_t bytes;

	if (!pages_head_read(p, 0, &p->head)) {
		pages_fault(p, "not a file of LMDB 0.9");
		return false;
	}
	bytes = p->head.free.pad;
	if (bytes < 512 || bytes > 65536 || (bytes & (bytes - 1)) != 0 ||
	    !pages_head_read(p, bytes, &other) || other.free.pad != bytes) {
		pages_fault(p, "a head is damaged");
		return false;
	}
	/* The two heads are written in turn, each with the next number. */
	if (p->head.txn % 2 != 0 || (other.txn % 2 != 1 && other.txn != 0) ||
	    (other.txn > p->head.txn ? other.txn - p->head.txn : p->head.txn - other.txn) > 1) {
		pages_fault(p, "the number of a head is damaged");
		return false;
	}
	if (other.txn > p->head.txn)
		p->head = other;
	if (p->head.free.flags != TREE_INTEGER_KEYS || p->head.main.flags != 0) {
		pages_fault(p, "a head is damaged");
		return false;
	}
	p->page_bytes = bytes;
	if (p->head.last < 1 || p->head.last >= p->size / bytes) {
		pages_fault(p, "has %llu bytes, and should have %llu at least: it was cut off",
		    (unsigned long long)p->size, (unsigned long long)p->head.last * bytes + bytes);
		return false;
	}
	return true;
}

int
sq_table_head_read(int fd, unsigned char *heads, size_t *n, struct sq_table_head *out)
{
	struct pages_head h[2];
	size_t page = 4096;

	/* The first page says how large pages are. */
	for (int i = 0; i < 2; i++) {
		ssize_t got = pread(fd, heads, 2 * page, 0);

		if (got < 0)
			return SQ_EIO;
		if ((size_t)got < 2 * page)
			return SQ_EINVAL;
		memcpy(&h[0], heads + PAGE_HEAD, sizeof h[0]);
		if (h[0].magic != LMDB_MAGIC || h[0].version != 1 || h[0].free.pad < 512 ||
		    h[0].free.pad > SQ_TABLE_HEADS / 2)
			return SQ_EINVAL;
		if (h[0].free.pad == page)
			break;
		page = h[0].free.pad;
	}
	memcpy(&h[1], heads + page + PAGE_HEAD, sizeof h[1]);
	if (h[1].magic != LMDB_MAGIC || h[1].version != 1)
		return SQ_EINVAL;
	if (h[1].txn > h[0].txn)
		h[0] = h[1];
	*n = 2 * page;
	*out = (struct sq_table_head){
	    .txn = h[0].txn, .bytes = (h[0].last + 1) * page, .map_bytes = h[0].map_bytes};
	return SQ_OK;
}

static void
pages_trees(struct pages *p)
{
	struct pages_tree free_tree = p->head.free, main_tree = p->head.main;
	struct walk w = {.pages = p,
	    .name = "free pages",
	    .tree = &free_tree,
	    .visit_leaves = true,
	    .entry = pages_free_entry};
	struct walk m = {.pages = p,
	    .name = "names of databases",
	    .tree = &main_tree,
	    .visit_leaves = true,
	    .entry = pages_main_entry};

	p->owned = sq_xcalloc((size_t)(p->head.last / 8 + 1), 1);
	walk_tree(&w);
	walk_tree(&m);
	free(p->owned);
}

unsigned
sq_table_pages_check(
    const char *path, bool leaves, void (*fault)(void *arg, const char *text), void *arg)
{
	struct pages p = {.path = path, .leaves = leaves, .fault = fault, .arg = arg};
	struct stat st;
	void *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0) {
		pages_fault(&p, "%s", strerror(errno));
	} else if (st.st_size == 0) {
		pages_fault(&p, "is empty");
	} else {
		p.size = (uint64_t)st.st_size;
		map = mmap(NULL, (size_t)p.size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED) {
			pages_fault(&p, "%s", strerror(errno));
		} else {
			p.map = map;
			madvise(map, (size_t)p.size, MADV_RANDOM);
			if (pages_heads(&p))
				pages_trees(&p);
			munmap(map, (size_t)p.size);
		}
	}
	if (fd >= 0)
		close(fd);
	return p.faults;
}
