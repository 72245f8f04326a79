/* The view's table of links (broker/view/table.h). */
#ifndef SQ_BROKER_FRONT_LINK_VIEW_H
#define SQ_BROKER_FRONT_LINK_VIEW_H

struct sq_service;
struct sq_view;

/* Has the view show the links of a service of sq_link_front_open(), which outlives its pages; before
 * the view's first page. */
void sq_link_front_view(struct sq_service *, struct sq_view *);

#endif
