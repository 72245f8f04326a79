/* The value of sqmqos.io/scale; see scale.h.  Its fields are one table. */
#include "proto/annotations/scale.h"

#include "core/mem.h"
#include "proto/annotations/yaml.h"

enum field { F_MIN, F_MAX, F_PER, FIELDS };

static const char *const field_names[] = {"min", "max", "per", NULL};
static const struct {
	uint32_t least, most, by_default;
	const char *wants;
} fields[FIELDS] = {
    [F_MIN] = {0, SQ_SCALE_PODS_MAX, SQ_SCALE_MIN_DEFAULT, "a number of pods from 0 to 1000000"},
    [F_MAX] = {1, SQ_SCALE_PODS_MAX, 0, "a number of pods from 1 to 1000000"},
    [F_PER] = {1, UINT32_MAX, SQ_SCALE_PER_DEFAULT, "a number of messages, at least 1"},
};

/* A value that is being read. */
struct scale_reader {
	struct sq_yaml y;
	struct sq_position begin, at[FIELDS];
	unsigned seen; /* a bit for each field */
	uint32_t v[FIELDS];
};

/* One field: the event is its name. */
static int
scale_field(struct scale_reader *r)
{
	const char *text;
	size_t i;
	int rc = sq_yaml_key(&r->y, field_names, &r->seen, &i);

	if (rc != 0 || i == SQ_YAML_NONE)
		return rc;
	r->at[i] = sq_yaml_at(&r->y);
	text = sq_yaml_text(&r->y);
	if (text != NULL && sq_value_count(text, fields[i].least, &r->v[i]) == 0 &&
	    r->v[i] <= fields[i].most)
		return 0;
	sq_value_wrong(r->y.value, r->at[i], "%s must be %s", field_names[i], fields[i].wants);
	r->v[i] = 0; /* not compared with others */
	return sq_yaml_skip(&r->y);
}

static int
scale_map(struct scale_reader *r)
{
	int rc;

	if (r->y.event.type != YAML_MAPPING_START_EVENT) {
		sq_value_wrong(
		    r->y.value, r->begin, "a map is wanted, as {min: 0, max: 20, per: 100}");
		return SQ_ECLOSED;
	}
	while ((rc = sq_yaml_next(&r->y)) == 0 && r->y.event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = scale_field(r)) != 0)
			return rc;
	}
	return rc != 0 ? rc : sq_yaml_end(&r->y);
}

/* The fields against each other. */
static void
scale_check(struct scale_reader *r)
{
	if ((r->seen & 1u << F_MAX) == 0)
		sq_value_wrong(r->y.value, r->begin, "max is needed: the most pods there may be");
	else if (r->v[F_MAX] != 0 && r->v[F_MIN] > r->v[F_MAX])
		sq_value_wrong(r->y.value, r->at[(r->seen & 1u << F_MIN) != 0 ? F_MIN : F_MAX],
		    "min %u is above max %u", r->v[F_MIN], r->v[F_MAX]);
}

void
sq_take_scale(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct scale_reader r = {0};
	bool empty = false;
	int rc = sq_yaml_open(&r.y, value);

	for (size_t i = 0; i < FIELDS; i++)
		r.v[i] = fields[i].by_default;
	if (rc == 0)
		rc = sq_yaml_begin(&r.y, &empty);
	if (rc == 0 && !empty) {
		r.begin = sq_yaml_at(&r.y);
		if (scale_map(&r) == 0) /* what is wrong is reported */
			scale_check(&r);
		out->scale = (struct sq_scale){true, r.v[F_MIN], r.v[F_MAX], r.v[F_PER]};
	}
	sq_yaml_close(&r.y);
}
