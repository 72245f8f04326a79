/* What sqmqos.io/publish says: rules for what the app publishes. */
#ifndef SQ_PROTO_ANNOTATIONS_PUBLISH_H
#define SQ_PROTO_ANNOTATIONS_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SQ_RULES_MAX = 256,
	SQ_RULE_TAGS_MAX = 16,           /* of one rule */
	SQ_RULE_PROPERTY_MAX = 255,      /* bytes of a user property's name */
	SQ_RULE_RECEIPT_MAX = 1024,      /* bytes of a receipt's topic */
	SQ_RULE_DELAY_MAX_S = 999999999, /* what a broker takes */
};

/* What is put on the messages of the topics that 'filter' selects. */
struct sq_publish_rule {
	char *filter;         /* plain: no $share, no $tag */
	int8_t qos;           /* 0 to 3: at least this; -1: as published */
	int8_t retain;        /* 0 or 1; -1: as published */
	bool key_generated;   /* key: generated */
	char *key_property;   /* key: the value of this user property; NULL: not said */
	char *order_property; /* order-key: the value of this user property; NULL: none */
	char *receipt;        /* topic; NULL: none */
	char **tags;
	size_t n_tags;
	uint32_t ttl_s;   /* at most so long; 0: as published */
	uint32_t delay_s; /* 0: none */
};

struct sq_publish_rules {
	struct sq_publish_rule *v; /* in their order */
	size_t n;
	bool strict; /* what no rule selects must not be published */
};

void sq_publish_rules_free(struct sq_publish_rules *);

#endif
