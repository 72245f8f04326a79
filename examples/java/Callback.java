import org.eclipse.paho.mqttv5.client.*;
import org.eclipse.paho.mqttv5.common.*;
import org.eclipse.paho.mqttv5.common.packet.*;

/** What the examples have in common: a callback of which they write what they need. */
abstract class Callback implements MqttCallback {
	@Override public void connectComplete(boolean again, String uri) {}
	@Override public void messageArrived(String topic, MqttMessage message) throws Exception {}
	@Override public void deliveryComplete(IMqttToken token) {}
	@Override public void disconnected(MqttDisconnectResponse why) {}
	@Override public void mqttErrorOccurred(MqttException why) {}
	@Override public void authPacketArrived(int reason, MqttProperties properties) {}

	/** A message with these user properties: name, value, name, value... */
	static MqttMessage message(String payload, int qos, String... properties) {
		var message = new MqttMessage(payload.getBytes(), qos, false, new MqttProperties());
		for (int i = 0; i < properties.length; i += 2)
			message.getProperties().getUserProperties()
				.add(new UserProperty(properties[i], properties[i + 1]));
		return message;
	}

	/** The value of a user property, or null. */
	static String property(MqttMessage message, String name) {
		return message.getProperties().getUserProperties().stream()
			.filter(p -> p.getKey().equals(name)).map(UserProperty::getValue)
			.findFirst().orElse(null);
	}

	/** Connects, and again by itself. A session that is kept for some seconds (0: none) takes
	 * messages while we are away. */
	static MqttConnectionOptions options(long keptSeconds) {
		var options = new MqttConnectionOptions();
		options.setAutomaticReconnect(true);
		options.setCleanStart(keptSeconds == 0);
		options.setSessionExpiryInterval(keptSeconds);
		return options;
	}

	/** Ends the program with an error where the broker has refused a publish of QoS 1. Its code
	 * has a text, which names the rule, the queue or the limit. */
	static void exitIfRefused(String topic, IMqttToken answer) {
		int code = answer.getReasonCodes()[0];
		if (code < 0x80)
			return;
		System.err.printf("%s: refused: 0x%02x %s%n", topic, code,
			answer.getResponseProperties().getReasonString());
		System.exit(1);
	}
}
