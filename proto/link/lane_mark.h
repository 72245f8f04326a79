/* A lane's place among its connection's requests to subscribe (order_out.h): batches come before a
 * mark or behind it. */
#ifndef SQ_PROTO_LINK_LANE_MARK_H
#define SQ_PROTO_LINK_LANE_MARK_H

#include "proto/link/lane_out.h"

/* Later entries come behind 'mark'.  Marks only grow, except by the next two functions. */
void sq_lane_out_mark(struct sq_lane_out *, uint32_t mark);
/* A new attachment: entries with the mark M get the mark to(arg, M).  'to' is called in ascending
 * order of M, at last for the last mark given out. */
void sq_lane_out_remark(struct sq_lane_out *, uint32_t (*to)(void *arg, uint32_t mark), void *arg);
/* Lowers all marks above 'most' to 'most'. */
void sq_lane_out_unmark(struct sq_lane_out *, uint32_t most);
/* Whether the lane has an entry behind 'mark', the last mark given out. */
bool sq_lane_out_behind(const struct sq_lane_out *, uint32_t mark);
/* Whether all entries before 'mark' are flying or answered. */
bool sq_lane_out_sent(const struct sq_lane_out *, uint32_t mark);
/* The last number given out before 'mark'.  Once an entry behind the mark was answered, it may be a
 * higher number, which the receiver knows by then. */
uint64_t sq_lane_out_before(const struct sq_lane_out *, uint32_t mark);
/* The next entry and all later ones wait for sq_lane_out_go(). */
void sq_lane_out_wait(struct sq_lane_out *);
void sq_lane_out_go(struct sq_lane_out *);

#endif
