/* Fuzzes the MQTT decoder as a server has it. */
#include "fuzz_mqtt.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	fuzz_stream(SQ_MQTT_SERVER, data, size);
	return 0;
}
