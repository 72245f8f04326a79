/* sqmqos: the command line. */
#include "cli/verbs.h"

int
main(int argc, char **argv)
{
	return sq_verbs_run(argc, argv);
}
