/* Fuzzes the MQTT decoder as a client has it. */
#include "fuzz_mqtt.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	fuzz_stream(SQ_MQTT_CLIENT, data, size);
	return 0;
}
