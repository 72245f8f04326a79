import org.eclipse.paho.mqttv5.client.*;
import org.eclipse.paho.mqttv5.common.*;

/** A declared consumer: what the pod's annotation sqmqos.io/subscribe names comes to the client
 * with the id that sqmqos.io/client-id says, without a SUBSCRIBE, and waits while it is away. */
class Consumer extends Callback {
	/** The library acknowledges a message of QoS 1 when this is left, by an exception too. Where
	 * the process ends before, the message comes again, and after `max-attempts` times it
	 * becomes a dead letter. */
	@Override public void messageArrived(String topic, MqttMessage message) {
		try {
			System.out.printf("%s: %.2f%n", topic, Double.valueOf(message.toString()));
		} catch (NumberFormatException e) {
			System.err.printf("%s: '%s' is no amount%n", topic, message);
			System.exit(1);
		}
	}

	public static void main(String[] args) throws Exception {
		var client = new MqttAsyncClient("tcp://localhost:1883", "orders-worker", null);
		client.setCallback(new Consumer());
		client.connect(options(0)).waitForCompletion();
	}
}
