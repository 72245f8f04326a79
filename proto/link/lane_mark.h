/* A lane's place among its connection's requests to subscribe (order_out.h): which batches come
 * before a mark, and which behind it. */
#ifndef SQ_PROTO_LINK_LANE_MARK_H
#define SQ_PROTO_LINK_LANE_MARK_H

#include "proto/link/lane_out.h"

/* What is added from now on comes behind 'mark', which never falls but by the next two. */
void sq_lane_out_mark(struct sq_lane_out *, uint32_t mark);
/* There is a new attachment: what had the mark M has to(arg, M) from now on.  Called in
 * ascending order of M, at last for the last mark given out. */
void sq_lane_out_remark(struct sq_lane_out *, uint32_t (*to)(void *arg, uint32_t mark), void *arg);
/* No mark above 'most' counts any more. */
void sq_lane_out_unmark(struct sq_lane_out *, uint32_t most);
/* Whether the lane has something that was added behind 'mark', the last one given out. */
bool sq_lane_out_behind(const struct sq_lane_out *, uint32_t mark);
/* Whether all that was added before 'mark' is flying or answered. */
bool sq_lane_out_sent(const struct sq_lane_out *, uint32_t mark);
/* The last number that was given out before 'mark'.  Once something behind the mark was
 * answered it may be one above, which the receiver knows by then. */
uint64_t sq_lane_out_before(const struct sq_lane_out *, uint32_t mark);
/* The next entry, and with it all that is added later, is not sent before sq_lane_out_go(). */
void sq_lane_out_wait(struct sq_lane_out *);
void sq_lane_out_go(struct sq_lane_out *);

#endif
